import Alignment
import Lanczos
import Model

/// What decides a run's numbers, besides the model and the prompts: runs that agree in it can be one run.
public struct NumericSettings: Codable, Sendable, Equatable {
  /// What a number of the run means.
  public var quantity = QuantitySettings()
  /// What it is a number of.
  public var scope = ScopeSettings()
  /// How it is found.
  public var solution = SolutionSettings()

  /// The defaults.
  public init() {}

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    quantity = try QuantitySettings(from: decoder)
    scope = try ScopeSettings(from: decoder)
    solution = try SolutionSettings(from: decoder)
  }

  /// One object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try quantity.encode(to: encoder)
    try scope.encode(to: encoder)
    try solution.encode(to: encoder)
  }
}

/// Which Jacobians there are of a block, and which of them are compared. Runs that differ in it have couplings of other
/// meanings.
public struct QuantitySettings: Codable, Sendable, Equatable {
  /// What coupling compares.
  public var kind = CouplingKind.depth
  /// Which residual function.
  public var site = JacobianSite.block
  /// What becomes of the last block.
  public var last = LastBlockMode.residual
  /// The input token t1, of kinds that have one: not of `self` and `context-output`.
  public var fromToken = TokenIndex.last
  /// The output token t2, of kinds that have one: not of `self` and `context-input`.
  public var toToken = TokenIndex.last
  /// The tokens that vary: t of J_tt across depth (if from and to are `last`) and in `self`, the outputs of
  /// `context-input`, the inputs of `context-output`.
  public var tokens = TokenList.last
  /// The block whose bases are compared with, in kinds other than `depth`; nil for each block's own.
  @Nullable public var basisLayer: Int?

  /// The defaults.
  public init() {}
}

/// Which blocks, of which weights, after which encoder's input. Runs that differ in it have numbers of one meaning that
/// are to be held against each other with care.
public struct ScopeSettings: Codable, Sendable, Equatable {
  /// Whether the weights are random instead, as the reference implementation initialises them, by the seed.
  public var randomInit = false
  /// Blocks, counted from 1; nil for all.
  @Nullable public var layers: [Int]?
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// Its token ids instead.
  @Nullable public var encoderTokenIds: [Int]?

  /// The defaults.
  public init() {}
}

/// How many triplets are found, and by which method. Runs that differ in it approximate the same numbers, at each rank
/// that they have in common.
public struct SolutionSettings: Codable, Sendable, Equatable {
  /// Triplets of each Jacobian, K.
  public var top = 10
  /// Ranks at which coupling is computed, each at most `top`.
  public var ranks: [Int] = [10]
  /// The share of the width the ranks were taken as, if so.
  @Nullable public var rankShare: Double?
  /// The forms in which it is computed.
  public var form = CouplingForms.same
  /// Which solver.
  public var solver = SolverKind.auto
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance = 1e-5
  /// In which precision states, linearizations and products are computed.
  public var precision = PrecisionMode.auto
  /// What is proven of triplets that were not found.
  public var certify = CertifyMode.auto
  /// Of start vectors, probes and random weights.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

extension KeyedDecodingContainer {
  /// Runs of earlier versions did not look for triplets that a solve had missed.
  func decode(_ type: CertifyMode.Type, forKey key: Key) throws -> CertifyMode {
    try decodeIfPresent(type, forKey: key) ?? .off
  }
}
