import Alignment
import Lanczos
import Model

/// Encodes nil as `null`, so that a record says what is missing instead of leaving it out.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable>: Codable, Sendable {
  /// The value, or nil.
  public var wrappedValue: Value?

  /// Wraps a value.
  public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  /// Reads the value, or `null`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
  }

  /// Writes the value, or `null`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}

extension Nullable: Equatable where Value: Equatable {}

extension KeyedDecodingContainer {
  /// A key that an earlier version did not write is nil.
  public func decode<Value>(
    _ type: Nullable<Value>.Type, forKey key: Key
  ) throws -> Nullable<Value> {
    try decodeIfPresent(type, forKey: key) ?? Nullable(wrappedValue: nil)
  }
}

/// One prompt as it was given.
public enum PromptInput: Sendable, Equatable {
  /// Text, for the model's tokenizer; from a file, `origin` says where it stands there: `line 31 of long.txt`.
  case text(String, origin: String? = nil)
  /// Token ids, used as they are.
  case tokens([Int])
  /// A PNG or JPEG file, or a .safetensors file of pixel values.
  case image(String)
}

/// Every option of a run, as it is in force; recorded in `result.json` by these names in snake case.
public struct RunSettings: Codable, Sendable {
  /// The model as it was named.
  public var model: String
  /// The training step the model was taken at, if it is known.
  @Nullable public var step: Int?
  /// Whether its weights are random instead, as the reference implementation initialises them, by the seed.
  public var randomInit = false
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// Its token ids instead.
  @Nullable public var encoderTokenIds: [Int]?
  /// Triplets of each Jacobian, K.
  public var top = 10
  /// Ranks at which coupling is computed, each at most `top`.
  public var ranks: [Int] = [10]
  /// The share of the width the ranks were taken as, if so.
  @Nullable public var rankShare: Double?
  /// Blocks, counted from 1; nil for all.
  @Nullable public var layers: [Int]?
  /// What coupling compares.
  public var kind = CouplingKind.depth
  /// The input token t1, of kinds that have one: not of `self` and `context-output`.
  public var fromToken = TokenIndex.last
  /// The output token t2, of kinds that have one: not of `self` and `context-input`.
  public var toToken = TokenIndex.last
  /// The tokens that vary: t of J_tt across depth (if from and to are `last`) and in `self`, the outputs of
  /// `context-input`, the inputs of `context-output`.
  public var tokens = TokenList.last
  /// The block whose bases are compared with, in kinds other than `depth`; nil for each block's own.
  @Nullable public var basisLayer: Int?
  /// The part of the prompts that is run; nil for all.
  @Nullable public var shard: Shard?
  /// Which residual function.
  public var site = JacobianSite.block
  /// What becomes of the last block.
  public var last = LastBlockMode.residual
  /// Which solver.
  public var solver = SolverKind.auto
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance = 1e-5
  /// Of start vectors, probes and random weights.
  public var seed: UInt64 = 0
  /// Shown coupling: sign.
  public var sign = CouplingSign.signed
  /// Shown coupling: normalisation.
  public var normalisation = CouplingNormalisation.frobenius.rawValue
  /// Shown coupling: form.
  public var form = CouplingForm.same
  /// Shown coupling: score.
  public var score = CouplingScore.oneMinus
  /// Whether the shown mean includes the diagonal.
  public var diagonal = DiagonalMode.excluded
  /// Whether the settings are those of the authors' release.
  public var likePaper = false
  /// Peak resident bytes that must not be exceeded.
  @Nullable public var maxMemory: Int?
  /// The model's name in the result.
  public var name: String
  /// Threads of the products.
  public var threads: Int
  /// Whether hidden states are written too.
  public var saveHiddenStates = false
  /// The run folder.
  @Nullable public var output: String?

  /// The defaults for a model.
  public init(model: String, name: String, threads: Int) {
    self.model = model
    self.name = name
    self.threads = threads
  }
}
