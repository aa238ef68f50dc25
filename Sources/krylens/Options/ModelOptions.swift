import Analysis
import ArgumentParser

/// The model of a run, and the training step it was saved at.
struct ModelOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A Hugging Face folder, a .gguf file, or a hub name in the local cache.",
      valueName: "model"))
  private var model: FilePath

  /// The path or hub name as given, a leading ~ expanded.
  var path: String { model.path }

  @Option(
    help: ArgumentHelp(
      "The training step the model was saved at (default: from a name like step128).",
      valueName: "n"))
  var step: Int?

  func validate() throws {
    var request = ModelRequest(model: path)
    request.step = step
    try validated { try request.check() }
  }
}
