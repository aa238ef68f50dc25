import Alignment
import Lanczos
import Model

/// The options of a run, checked against a model and its prompts: what is to be solved where.
struct SolvePlan {
  /// Blocks to linearize, from 1.
  let layers: [Int]
  /// For every prompt, from which token to which.
  let tokens: [TokenSelection]
  let top: Int
  let ranks: [Int]
  /// The coupling to be shown, at each rank.
  let shown: [CouplingSetting]
  let site: JacobianSite
  /// The block whose output goes through the final norm first, from 1.
  let normedLayer: Int?
  let solver: SolverKind
  let tolerance: Double
  let seed: UInt64
  /// Whether every block is linearized as a residual function, so that the linearised path is defined.
  let coversPath: Bool

  /// Throws `RunError.badOption`.
  init(
    _ s: RunSettings, _ model: ModelDescription, promptLengths: [Int]
  ) throws(RunError) {
    let width = model.width
    guard (1...width).contains(s.top) else {
      throw .badOption(
        option: "--top", value: "\(s.top)", reason: "must be from 1 to the model's width, \(width)")
    }
    guard !s.ranks.isEmpty, let bad = Optional(s.ranks.first { !(1...s.top).contains($0) }) else {
      throw .badOption(option: "--ranks", value: "", reason: "needs at least one rank")
    }
    if let bad {
      throw .badOption(
        option: "--ranks", value: "\(bad)", reason: "must be from 1 to --top, which is \(s.top)")
    }
    guard let normalisation = CouplingNormalisation(rawValue: s.normalisation) else {
      throw .badOption(
        option: "--normalisation", value: s.normalisation,
        reason: "must be frobenius, trace, or p= and a number from 1 on")
    }
    guard s.tolerance > 0, s.tolerance < 1 else {
      throw .badOption(
        option: "--tolerance", value: "\(s.tolerance)", reason: "must lie between 0 and 1")
    }
    var layers = s.layers ?? Array(1...model.layers)
    if let bad = layers.first(where: { !(1...model.layers).contains($0) }) {
      throw .badOption(
        option: "--layers", value: "\(bad)", reason: "the model has the blocks 1 to \(model.layers)"
      )
    }
    if s.last == .drop { layers.removeAll { $0 == model.layers } }
    guard !layers.isEmpty else {
      throw .badOption(
        option: "--layers", value: "", reason: "no block is left to linearize; name at least one")
    }
    if s.last == .normed, s.site != .block {
      throw .badOption(
        option: "--last", value: "normed",
        reason: "is defined for --site block only, and the site is \(s.site.rawValue)")
    }
    var tokens: [TokenSelection] = []
    for length in promptLengths {
      let position = { (option: String, index: TokenIndex) throws(RunError) -> Int in
        guard let position = index.position(in: length) else {
          guard case .index(let i) = index else { throw .emptyPrompt(index: tokens.count) }
          throw .badOption(
            option: option, value: "\(i)",
            reason: "prompt \(tokens.count + 1) has the tokens 0 to \(length - 1)")
        }
        return position
      }
      let selection = TokenSelection(
        source: try position("--from-token", s.fromToken),
        target: try position("--to-token", s.toToken))
      if model.isCausal, selection.target < selection.source {
        throw .badOption(
          option: "--to-token", value: "\(selection.target)",
          reason: "comes before --from-token \(selection.source), and under the model's causal "
            + "mask no token influences an earlier one")
      }
      tokens.append(selection)
    }
    let kinds = Set(tokens.map { $0.source == $0.target })
    guard kinds.count <= 1 else {
      throw .badOption(
        option: "--from-token", value: "",
        reason: "is the --to-token in some of the prompts and another in others; run those apart")
    }
    self.layers = layers
    self.tokens = tokens
    top = s.top
    ranks = s.ranks
    shown = s.ranks.map {
      CouplingSetting(
        rank: $0, sign: s.sign, normalisation: normalisation, form: s.form, score: s.score)
    }
    site = s.site
    normedLayer = s.last == .normed ? model.layers : nil
    solver = s.solver.chosen(for: s.top, width: width)
    tolerance = s.tolerance
    seed = s.seed
    coversPath =
      s.site == .block && s.last == .residual && layers == Array(1...model.layers)
      && kinds.contains(true)
  }
}
