import Alignment
import Lanczos
import Model

/// The settings that determine a run's numbers, besides the model and the prompts; runs that agree in them can be joined.
public struct NumericSettings: Codable, Sendable, Equatable {
  /// What the numbers of the run mean.
  public var quantity = QuantitySettings()
  /// What the numbers are computed for.
  public var scope = ScopeSettings()
  /// How the numbers are found.
  public var solution = SolutionSettings()

  /// The default settings.
  public init() {}

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    quantity = try QuantitySettings(from: decoder)
    scope = try ScopeSettings(from: decoder)
    solution = try SolutionSettings(from: decoder)
  }

  /// Writes one object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try quantity.encode(to: encoder)
    try scope.encode(to: encoder)
    try solution.encode(to: encoder)
  }
}

/// Which Jacobians a block has, and which of them are compared. Couplings of runs that differ in these settings mean different
/// things.
public struct QuantitySettings: Codable, Sendable, Equatable {
  /// What coupling compares.
  public var kind = CouplingKind.depth
  /// The part of a block that is differentiated.
  public var site = JacobianSite.block
  /// How the last block is treated.
  public var last = LastBlockMode.residual
  /// The input token t1, for kinds that have one: not `self` or `context-output`.
  public var fromToken = TokenIndex.last
  /// The output token t2, for kinds that have one: not `self` or `context-input`.
  public var toToken = TokenIndex.last
  /// The tokens that vary: t of J_tt across depth (if from and to are `last`) and in `self`, the outputs of
  /// `context-input`, the inputs of `context-output`.
  public var tokens = TokenList.last
  /// The block whose bases are used for all blocks, in kinds other than `depth`; nil for each block's own.
  @Nullable public var basisLayer: Int?

  /// The default settings.
  public init() {}
}

/// The blocks, the weights and the encoder's input. Numbers of runs that differ in these settings mean the same, but must be
/// compared with care.
public struct ScopeSettings: Codable, Sendable, Equatable {
  /// Whether the weights are random, drawn by the seed as the reference implementation initialises them.
  public var randomInit = false
  /// Blocks, counted from 1; nil for all.
  @Nullable public var layers: [Int]?
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// The encoder's token ids, in place of text.
  @Nullable public var encoderTokenIds: [Int]?

  /// The default settings.
  public init() {}
}

/// How many triplets are found, and by which method. Runs that differ in these settings approximate the same numbers, at each
/// rank that they share.
public struct SolutionSettings: Codable, Sendable, Equatable {
  /// The number of triplets per Jacobian, K.
  public var top = 10
  /// Ranks at which coupling is computed, each at most `top`.
  public var ranks: [Int] = [10]
  /// The rank as a share of the width, if it was given that way.
  @Nullable public var rankShare: Double?
  /// The forms of coupling that are computed.
  public var form = CouplingForms.same
  /// The solver.
  public var solver = SolverKind.auto
  /// The most vectors of a Jacobian that the block solver applies together; nil to choose them by what products cost.
  @Nullable public var blockSize: Int?
  /// Residual norms must not exceed tolerance · σ₁.
  public var tolerance = 1e-5
  /// The precision of states, linearizations and products.
  public var precision = PrecisionMode.auto
  /// What is proven about triplets that were not found.
  public var certify = CertifyMode.auto
  /// The seed of start vectors, probes and random weights.
  public var seed: UInt64 = 0

  /// The default settings.
  public init() {}
}

extension KeyedDecodingContainer {
  /// Runs of earlier versions did not search for triplets that a solve had missed.
  func decode(_ type: CertifyMode.Type, forKey key: Key) throws -> CertifyMode {
    try decodeIfPresent(type, forKey: key) ?? .off
  }
}
