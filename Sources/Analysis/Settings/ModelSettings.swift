/// Which weights and which encoder's input a command works on, and how it is executed: what all commands that run a model on
/// prompts have in common.
///
/// In `result.json` its members stand beside those of the command.
public struct ModelSettings: Codable, Sendable, Equatable {
  /// The model as it was named.
  public var model: String
  /// The model's name in the result.
  public var name: String
  /// The training step the model was taken at, if it is known.
  @Nullable public var step: Int?
  /// Whether the weights are random instead, as the reference implementation initialises them, by the seed.
  public var randomInit = false
  /// Of start vectors, probes and random weights.
  public var seed: UInt64 = 0
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// Its token ids instead.
  @Nullable public var encoderTokenIds: [Int]?
  /// Threads of the products.
  public var threads: Int
  /// Peak resident bytes that must not be exceeded.
  @Nullable public var maxMemory: Int?
  /// The run folder.
  @Nullable public var output: String?

  /// The defaults for a model.
  public init(model: String, name: String, threads: Int) {
    self.model = model
    self.name = name
    self.threads = threads
  }
}

extension RunSettings {
  /// The defaults, but for those members that every command has.
  public init(_ common: ModelSettings) {
    self.init(model: common.model, name: common.name, threads: common.threads)
    execution.step = common.step
    numeric.scope.randomInit = common.randomInit
    numeric.solution.seed = common.seed
    numeric.scope.encoderPrompt = common.encoderPrompt
    numeric.scope.encoderTokenIds = common.encoderTokenIds
    execution.maxMemory = common.maxMemory
    execution.output = common.output
  }

  /// Those members that every command has.
  var common: ModelSettings {
    var common = ModelSettings(
      model: execution.model, name: execution.name, threads: execution.threads)
    common.step = execution.step
    common.randomInit = numeric.scope.randomInit
    common.seed = numeric.solution.seed
    common.encoderPrompt = numeric.scope.encoderPrompt
    common.encoderTokenIds = numeric.scope.encoderTokenIds
    common.maxMemory = execution.maxMemory
    common.output = execution.output
    return common
  }
}
