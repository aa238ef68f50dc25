import Alignment
import Lanczos
import Model

/// The requested settings of an `align` run; nil for those left to the defaults.
///
/// The command, the C library and Python fill it in, so that `settings()` gives all of them the same defaults.
public struct RunRequest: Sendable, Equatable {
  /// The model, and how the run is executed.
  public var model: ModelRequest
  /// The number of triplets per Jacobian.
  public var top: Int?
  /// Ranks at which coupling is computed.
  public var ranks: [Int]?
  /// The rank as a share of the width.
  public var rankShare: Double?
  /// Blocks, counted from 1.
  public var layers: [Int]?
  /// What coupling compares.
  public var kind: CouplingKind?
  /// The tokens that vary.
  public var tokens: TokenList?
  /// The block whose bases are used for all blocks.
  public var basisLayer: Int?
  /// The input token.
  public var fromToken: TokenIndex?
  /// The output token.
  public var toToken: TokenIndex?
  /// The part of the prompts that is run.
  public var shard: Shard?
  /// The part of a block that is differentiated.
  public var site: JacobianSite?
  /// How the last block is treated.
  public var last: LastBlockMode?
  /// The solver.
  public var solver: SolverKind?
  /// The most vectors of a Jacobian that the block solver applies together.
  public var blockSize: Int?
  /// Residual norms must not exceed tolerance · σ₁.
  public var tolerance: Double?
  /// The precision of states and products.
  public var precision: PrecisionMode?
  /// What is proven about triplets that were not found.
  public var certify: CertifyMode?
  /// Whether the coupling shown uses entries or their magnitudes.
  public var sign: CouplingSign?
  /// The normalisation of the coupling shown.
  public var normalisation: String?
  /// The forms of coupling that are computed.
  public var form: CouplingForms?
  /// How the score shown is computed from the misfit.
  public var score: CouplingScore?
  /// Whether the mean shown includes the diagonal.
  public var diagonal: DiagonalMode?
  /// Whether the defaults are those of the authors' release.
  public var likePaper: Bool?
  /// Whether hidden states are also written.
  public var saveHiddenStates: Bool?

  /// Requests a run with default settings.
  public init(_ model: ModelRequest) { self.model = model }

  /// Throws `RunError.badSetting` for settings that fit no model, and for settings that cannot be combined.
  public func check() throws(RunError) {
    try model.check()
    if let top, top < 1 {
      throw .badSetting(.top, value: "\(top)", reason: "must be from 1 to the model's width")
    }
    if let rankShare, !(rankShare > 0 && rankShare <= 1) {
      throw .badSetting(.rankShare, value: "\(rankShare)", reason: "must lie between 0 and 1")
    }
    try (solver ?? .auto).check(blockSize: blockSize)
    try checkTokens()
    if rankShare != nil, ranks != nil {
      throw .badSetting(
        .ranks, reason: "cannot be combined with \(.rankShare); give one of them")
    }
  }

  /// Refuses settings that name tokens but cannot be combined.
  private func checkTokens() throws(RunError) {
    let (from, to): (SettingKey?, SettingKey?) =
      (fromToken == nil ? nil : .fromToken, toToken == nil ? nil : .toToken)
    let unused: SettingKey? =
      switch kind ?? .depth {
      case .depth: tokens == nil ? nil : from ?? to
      case .tokens: from ?? to
      case .contextInput: to
      case .contextOutput: from
      }
    guard let unused else { return }
    guard let kind, kind != .depth else {
      throw .badSetting(unused, reason: "cannot be combined with \(.tokens); give one of them")
    }
    throw .badSetting(
      unused,
      reason:
        "does not go with \(.kind) \(kind.rawValue), whose tokens are those of \(.tokens); leave it out"
    )
  }

  /// The settings with defaults filled in. Throws `RunError.badSetting`.
  public func settings() throws(RunError) -> RunSettings {
    try check()
    var s = RunSettings(try model.settings())
    let (isPaper, kind) = (likePaper ?? false, kind ?? s.kind)
    let paperRanks = isPaper && rankShare == nil ? [10, 30, 50] : nil
    let chosen = ranks.map { Set($0).sorted() } ?? paperRanks
    s.top = top ?? max(s.top, chosen?.max() ?? 0)
    s.ranks = chosen ?? [s.top]
    s.rankShare = rankShare
    s.layers = layers.map { Set($0).sorted() }
    s.kind = kind
    s.fromToken = fromToken ?? (kind == .contextInput ? .index(0) : .last)
    s.toToken = toToken ?? .last
    s.tokens = tokens ?? (kind == .depth ? .last : .all)
    s.basisLayer = basisLayer
    s.shard = shard
    s.site = site ?? s.site
    s.last = last ?? (isPaper ? .normed : .residual)
    s.solver = solver ?? s.solver
    s.blockSize = blockSize
    s.tolerance = tolerance ?? s.tolerance
    s.precision = precision ?? s.precision
    s.certify = certify ?? s.certify
    s.sign = sign ?? (isPaper ? .absolute : .signed)
    s.normalisation = normalisation ?? s.normalisation
    s.form = form ?? (isPaper ? .both : .same)
    s.score = score ?? s.score
    s.diagonal = diagonal ?? (isPaper ? .included : .excluded)
    s.likePaper = isPaper
    s.saveHiddenStates = saveHiddenStates ?? s.saveHiddenStates
    return s
  }
}
