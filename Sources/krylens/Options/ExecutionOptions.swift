import Analysis
import ArgumentParser

/// The options that say how a command runs a model, and what the model is called.
struct ExecutionOptions: ParsableArguments {
  @Flag(
    help: """
      Use random weights drawn by the seed, as transformers initialises this family before training. They take disk \
      space in TMPDIR while the command runs.
      """)
  var randomInit = false

  @Option(
    help: ArgumentHelp(
      "Refuse, before any work, a run that would need more memory than this: 1GB is 10⁹ bytes, 1GiB 2³⁰.",
      valueName: "bytes"))
  var maxMemory: ByteCount?

  @Option(help: "The model's name in the results (default: taken from MODEL).")
  var name: String?

  @Option(help: ArgumentHelp("Number of threads (default: all cores).", valueName: "n"))
  var threads: Int?

  func validate() throws {
    var request = ModelRequest(model: "")
    request.threads = threads
    try validated { try request.check() }
  }

  /// What these options mean for a model and its prompts.
  func settings(
    for model: ModelOptions, _ prompts: PromptOptions, seed: UInt64
  ) throws -> ModelSettings {
    try request(for: model.path, step: model.step, prompts, seed: seed).settings()
  }

  /// What these options ask for of a model, taken at a training step, and its prompts.
  func request(
    for model: String, step: Int?, _ prompts: PromptOptions, seed: UInt64
  ) -> ModelRequest {
    var r = ModelRequest(model: model)
    (r.name, r.step, r.threads) = (name, step, threads)
    (r.randomInit, r.seed) = (randomInit, seed)
    (r.encoderPrompt, r.encoderTokenIds) = (prompts.encoderPrompt, prompts.encoderTokenIds?.values)
    r.maxMemory = maxMemory?.bytes
    return r
  }
}
