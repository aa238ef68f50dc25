import Analysis
import ArgumentParser
import Foundation

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
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads): must be from 1 to 1024")
    }
  }

  /// What these options mean for a model and its prompts.
  func settings(
    for model: ModelOptions, _ prompts: PromptOptions, seed: UInt64
  ) -> ModelSettings {
    settings(
      for: model.path, step: model.trainingStep(isTrained: !randomInit), prompts, seed: seed)
  }

  /// What these options mean for a model, taken at a training step, and its prompts.
  func settings(
    for model: String, step: Int?, _ prompts: PromptOptions, seed: UInt64
  ) -> ModelSettings {
    var s = ModelSettings(
      model: model, name: name ?? defaultName(of: model),
      threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
    s.step = step
    s.randomInit = randomInit
    s.seed = seed
    s.encoderPrompt = prompts.encoderPrompt
    s.encoderTokenIds = prompts.encoderTokenIds?.values
    s.maxMemory = maxMemory?.bytes
    return s
  }

  /// The last component of a file's or folder's path, or the hub name; marked if the weights are random.
  private func defaultName(of model: String) -> String {
    var name = model
    if FileManager.default.fileExists(atPath: model) {
      name = URL(fileURLWithPath: model).standardizedFileURL.lastPathComponent
      if name.hasSuffix(".gguf") { name.removeLast(5) }
    }
    return randomInit ? "\(name) (random)" : name
  }
}
