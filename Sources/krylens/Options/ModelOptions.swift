import Analysis
import ArgumentParser

/// The model of a run, and where in its training it was taken.
struct ModelOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "A Hugging Face folder, a .gguf file, or a hub name that lies in the local cache.",
      valueName: "model"))
  private var model: FilePath

  /// As given; a leading ~ is the home folder.
  var path: String { model.path }

  @Option(
    help: ArgumentHelp(
      "The training step the model was taken at (default: from a name like step128).",
      valueName: "n"))
  var step: Int?

  func validate() throws {
    if let step, step < 0 {
      throw ValidationError("--step \(step): must be 0 or more")
    }
  }

  /// As given, or as the name tells of trained weights.
  func trainingStep(isTrained: Bool) -> Int? {
    step ?? (isTrained ? TrainingStep.named(path) : nil)
  }
}
