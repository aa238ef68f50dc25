import Alignment
import Lanczos
import Model

/// What was asked for of a run of `align`; nil for what was left to the defaults.
///
/// The command, the C library and Python fill it, and all have the same defaults, derived from one another, by `settings()`.
public struct RunRequest: Sendable, Equatable {
  /// The model, and how the run is executed.
  public var model: ModelRequest
  /// Triplets of each Jacobian.
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
  /// The block whose bases are compared with.
  public var basisLayer: Int?
  /// The input token.
  public var fromToken: TokenIndex?
  /// The output token.
  public var toToken: TokenIndex?
  /// The part of the prompts that is run.
  public var shard: Shard?
  /// Which residual function.
  public var site: JacobianSite?
  /// What becomes of the last block.
  public var last: LastBlockMode?
  /// Which solver.
  public var solver: SolverKind?
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double?
  /// In which precision states and products are computed.
  public var precision: PrecisionMode?
  /// What is proven of triplets that were not found.
  public var certify: CertifyMode?
  /// Shown coupling: entries or their magnitudes.
  public var sign: CouplingSign?
  /// Shown coupling: what entries are divided by.
  public var normalisation: String?
  /// The forms that are computed.
  public var form: CouplingForms?
  /// Shown coupling: what is made of the misfit.
  public var score: CouplingScore?
  /// Shown mean: whether it includes the diagonal.
  public var diagonal: DiagonalMode?
  /// Whether the settings are those of the authors' release where nothing else is said.
  public var likePaper: Bool?
  /// Whether hidden states are written too.
  public var saveHiddenStates: Bool?

  /// Nothing but a model.
  public init(_ model: ModelRequest) { self.model = model }

  /// Throws `RunError.badSetting` for what no model could meet, and for settings that exclude each other.
  public func check() throws(RunError) {
    try model.check()
    if let top, top < 1 {
      throw .badSetting(.top, value: "\(top)", reason: "must be from 1 to the model's width")
    }
    if let rankShare, !(rankShare > 0 && rankShare <= 1) {
      throw .badSetting(.rankShare, value: "\(rankShare)", reason: "must lie between 0 and 1")
    }
    try checkTokens()
    if rankShare != nil, ranks != nil {
      throw .badSetting(
        .ranks, reason: "cannot be combined with \(.rankShare); give one of them")
    }
  }

  /// Which of the settings that name tokens go together.
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

  /// The settings in force. Throws `RunError.badSetting`.
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
