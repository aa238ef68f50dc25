import Alignment
import Lanczos
import Model

/// The settings of a run, resolved for a model and its prompts: what is solved, and where.
struct ResolvedSettings {
  /// The blocks to linearize, from 1.
  let layers: [Int]
  /// For each prompt, the pairs of tokens that have a Jacobian at every block.
  private(set) var selections: [[TokenSelection]]
  /// What coupling compares.
  let kind: CouplingKind
  /// The block whose bases are used for all blocks, as a position in `layers`; nil for each block's own.
  let basis: Int?
  let top: Int
  let ranks: [Int]
  let forms: [CouplingForm]
  let site: JacobianSite
  /// The block whose output goes through the final norm first, from 1.
  let normedLayer: Int?
  let solver: SolverKind
  /// The most vectors of a Jacobian that the block solver applies together; nil for its own choice.
  var blockSize: Int?
  let tolerance: Double
  let precision: PrecisionMode
  let certify: CertifyMode
  let seed: UInt64
  /// Whether the user has limited the memory; then no more blocks are in use at a time than must be.
  let hasMemoryLimit: Bool
  /// Whether every block is linearized as a residual function, so that the linearised path is defined.
  let coversPath: Bool

  /// `labels` name the prompts in messages; `sharesVectors` says whether a team holds vectors between its members. Throws
  /// `RunError.badSetting`.
  init(
    _ s: RunSettings, _ model: ModelDescription, promptLengths: [Int], labels: [PromptLabel]? = nil,
    sharesVectors: Bool = false
  ) throws(RunError) {
    let width = model.width
    guard (1...width).contains(s.top) else {
      throw .badSetting(
        .top, value: "\(s.top)", reason: "must be from 1 to the model's width, \(width)")
    }
    guard !s.ranks.isEmpty, let bad = Optional(s.ranks.first { !(1...s.top).contains($0) }) else {
      throw .badSetting(.ranks, reason: "needs at least one rank")
    }
    if let bad {
      throw .badSetting(
        .ranks, value: "\(bad)", reason: "must be from 1 to \(.top), which is \(s.top)")
    }
    guard CouplingNormalisation(rawValue: s.normalisation) != nil else {
      throw .badSetting(
        .normalisation, value: s.normalisation,
        reason: "must be frobenius, trace, or p= and a number of at least 1")
    }
    guard s.tolerance > 0, s.tolerance < 1 else {
      throw .badSetting(
        .tolerance, value: "\(s.tolerance)", reason: "must lie between 0 and 1")
    }
    try s.solver.check(blockSize: s.blockSize)
    do { try s.certify.check() } catch {
      throw .badSetting(.certify, value: "\(s.certify)", reason: "must lie between 0 and 1")
    }
    var layers = s.layers ?? Array(1...model.layers)
    if let bad = layers.first(where: { !(1...model.layers).contains($0) }) {
      throw .badSetting(
        .layers, value: "\(bad)", reason: "the model has the blocks 1 to \(model.layers)"
      )
    }
    if s.last == .drop { layers.removeAll { $0 == model.layers } }
    guard !layers.isEmpty else {
      throw .badSetting(
        .layers, reason: "no block is left to linearize; name at least one")
    }
    if s.last == .normed, s.site != .block {
      throw .badSetting(
        .last, value: "normed",
        reason: "is defined only for \(.site) block, but the site is \(s.site.rawValue)")
    }
    var basis: Int?
    if let layer = s.basisLayer {
      guard s.kind != .depth else {
        throw .badSetting(
          .basisLayer, value: "\(layer)",
          reason: "is for kinds that compare tokens; \(.kind) depth compares all blocks anyway")
      }
      basis = layers.firstIndex(of: layer)
      guard basis != nil else {
        throw .badSetting(
          .basisLayer, value: "\(layer)",
          reason: "is not among the \(.layers) that are run")
      }
    }
    let labels =
      labels ?? promptLengths.indices.map { PromptLabel(number: $0 + 1, .tokens([])) }
    let selections = try Self.selections(
      s, isCausal: model.isCausal, Array(zip(promptLengths, labels)))
    self.layers = layers
    self.selections = selections
    self.basis = basis
    kind = s.kind
    top = s.top
    ranks = s.ranks
    forms = s.form.computed
    site = s.site
    normedLayer = s.last == .normed ? model.layers : nil
    solver = s.solver.chosen(for: s.top, width: width, sharesVectors: sharesVectors)
    blockSize = s.blockSize
    tolerance = s.tolerance
    certify = s.certify
    precision = s.precision
    seed = s.seed
    hasMemoryLimit = s.maxMemory != nil
    coversPath =
      s.site == .block && s.last == .residual && layers == Array(1...model.layers)
      && selections.joined().allSatisfy { $0.source == $0.target }
  }

  /// The settings for some of the prompts.
  func restricted(to prompts: Range<Int>) -> ResolvedSettings {
    with(selections: Array(selections[prompts]))
  }

  /// The settings with the selections of other prompts.
  func with(selections: [[TokenSelection]]) -> ResolvedSettings {
    var resolved = self
    resolved.selections = selections
    return resolved
  }

  /// The most Jacobians that one is compared with.
  var mostBases: Int { kind == .depth ? layers.count : selections.map(\.count).max() ?? 0 }

  /// The Jacobians' tokens in every prompt, in the order of the token that varies. Throws `RunError.badSetting`.
  private static func selections(
    _ s: RunSettings, isCausal: Bool, _ prompts: [(length: Int, label: PromptLabel)]
  ) throws(RunError) -> [[TokenSelection]] {
    var all: [[TokenSelection]] = []
    for (p, prompt) in prompts.enumerated() {
      let (length, label) = prompt
      guard length > 0 else { throw .emptyPrompt(label) }
      let range = "\(label) has the tokens 0 to \(length - 1)"
      let position = { (key: SettingKey, index: TokenIndex) throws(RunError) -> Int in
        guard let position = index.position(in: length) else {
          guard case .index(let i) = index else { throw .emptyPrompt(label) }
          throw .badSetting(key, value: "\(i)", reason: "\(range)")
        }
        return position
      }
      if let missing = s.tokens.missing(in: length) {
        throw .badSetting(.tokens, value: "\(missing)", reason: "\(range)")
      }
      let varying = s.tokens.positions(in: length)
      switch s.kind {
      case .depth where s.fromToken == .last && s.toToken == .last, .tokens:
        all.append(varying.map { TokenSelection($0) })
      case .depth:
        let pair = TokenSelection(
          source: try position(.fromToken, s.fromToken),
          target: try position(.toToken, s.toToken))
        if isCausal, pair.target < pair.source {
          throw .badSetting(
            .toToken, value: "\(pair.target)",
            reason: "comes before \(.fromToken) \(pair.source), but under the model's causal "
              + "mask no token influences an earlier one (\(label))")
        }
        all.append([pair])
      case .contextInput:
        let source = try position(.fromToken, s.fromToken)
        all.append(
          varying.filter { !isCausal || $0 >= source }
            .map { TokenSelection(source: source, target: $0) })
      case .contextOutput:
        let target = try position(.toToken, s.toToken)
        all.append(
          varying.filter { !isCausal || $0 <= target }
            .map { TokenSelection(source: $0, target: target) })
      }
      guard !all[p].isEmpty else {
        throw .badSetting(
          .tokens,
          reason: "leaves no pair of tokens that the model's causal mask lets through in \(label)")
      }
    }
    guard s.kind != .depth || Set(all.joined().map { $0.source == $0.target }).count <= 1 else {
      throw .badSetting(
        .fromToken,
        reason:
          "is the \(.toToken) in some of the prompts and another token in others; run those separately"
      )
    }
    return all
  }
}
