import Alignment
import Lanczos
import Model

/// All settings of a run in effect: those that determine the numbers, how the run is executed, and how it is read.
///
/// In `result.json` all members are side by side, their names in snake case; likewise in programs, as in `settings.top`.
/// The part that a member belongs to determines whether it may differ between runs that are joined or resumed.
@dynamicMemberLookup
public struct RunSettings: Codable, Sendable, Equatable {
  /// The settings that determine the numbers.
  public var numeric = NumericSettings()
  /// How the run is executed and what it is called; no number depends on it.
  public var execution: ExecutionSettings
  /// What tables and figures show, and what is averaged.
  public var reading = ReadingSettings()

  /// The defaults for a model.
  public init(model: String, name: String, threads: Int) {
    execution = ExecutionSettings(model: model, name: name, threads: threads)
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    numeric = try NumericSettings(from: decoder)
    execution = try ExecutionSettings(from: decoder)
    reading = try ReadingSettings(from: decoder)
  }

  /// Writes one object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try numeric.encode(to: encoder)
    try execution.encode(to: encoder)
    try reading.encode(to: encoder)
  }

  /// A member of `numeric.quantity`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<QuantitySettings, Value>) -> Value {
    get { numeric.quantity[keyPath: path] }
    set { numeric.quantity[keyPath: path] = newValue }
  }

  /// A member of `numeric.scope`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<ScopeSettings, Value>) -> Value {
    get { numeric.scope[keyPath: path] }
    set { numeric.scope[keyPath: path] = newValue }
  }

  /// A member of `numeric.solution`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<SolutionSettings, Value>) -> Value {
    get { numeric.solution[keyPath: path] }
    set { numeric.solution[keyPath: path] = newValue }
  }

  /// A member of `execution`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<ExecutionSettings, Value>) -> Value {
    get { execution[keyPath: path] }
    set { execution[keyPath: path] = newValue }
  }

  /// A member of `reading`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<ReadingSettings, Value>) -> Value {
    get { reading[keyPath: path] }
    set { reading[keyPath: path] = newValue }
  }
}

extension RunSettings {
  /// Whether prompts have several Jacobians per block, or may have.
  var variesTokens: Bool { self.kind != .depth || self.tokens != .last }
}

/// How a run is executed and what it is called. Runs that differ only in these settings find the same numbers.
public struct ExecutionSettings: Codable, Sendable, Equatable {
  /// The model's path or hub name, as given.
  public var model: String
  /// The model's name in the result.
  public var name: String
  /// The training step the model was saved at, if it is known.
  @Nullable public var step: Int?
  /// The part of the prompts that is run; nil for all.
  @Nullable public var shard: Shard?
  /// The limit on peak resident bytes.
  @Nullable public var maxMemory: Int?
  /// The number of threads for products.
  public var threads: Int
  /// Whether hidden states are also written.
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

/// What tables and figures show, and what is averaged. Every record holds what is needed for all readings of its forms.
public struct ReadingSettings: Codable, Sendable, Equatable {
  /// Whether entries or their magnitudes are used.
  public var sign = CouplingSign.signed
  /// The normalisation: `frobenius`, `trace`, or `p=` and an exponent.
  public var normalisation = CouplingNormalisation.frobenius.rawValue
  /// How the score is computed from the misfit.
  public var score = CouplingScore.oneMinus
  /// Whether the means include the diagonal.
  public var diagonal = DiagonalMode.excluded
  /// Whether the settings are those of the authors' release.
  public var likePaper = false

  /// The default settings.
  public init() {}
}
