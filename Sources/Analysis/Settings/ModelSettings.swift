/// The settings shared by all commands that run a model on prompts: the weights, the encoder's input, and how the command is
/// executed.
///
/// In `result.json` its members are beside those of the command.
public struct ModelSettings: Codable, Sendable, Equatable {
  /// The model's path or hub name, as given.
  public var model: String
  /// The model's name in the result.
  public var name: String
  /// The training step the model was saved at, if it is known.
  @Nullable public var step: Int?
  /// Whether the weights are random, drawn by the seed as the reference implementation initialises them.
  public var randomInit = false
  /// The seed of start vectors, probes and random weights.
  public var seed: UInt64 = 0
  /// The text an encoder reads, in models that have one.
  @Nullable public var encoderPrompt: String?
  /// The encoder's token ids, in place of text.
  @Nullable public var encoderTokenIds: [Int]?
  /// The number of threads for products.
  public var threads: Int
  /// The limit on peak resident bytes.
  @Nullable public var maxMemory: Int?
  /// The run folder.
  @Nullable public var output: String?

  /// The default settings for a model.
  public init(model: String, name: String, threads: Int) {
    self.model = model
    self.name = name
    self.threads = threads
  }
}

extension RunSettings {
  /// The default settings with the given common ones.
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

  /// The settings that all commands share.
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
