import Analysis
import ArgumentParser

/// The options that give the model's inputs.
struct PromptOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A prompt; may be repeated.", valueName: "text"))
  var prompt: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file of prompts: .txt with one per line, or .jsonl or a .json array with the key text or prompt.",
      valueName: "file"))
  var prompts: FilePath?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A prompt as token ids, used unchanged: 1,2,3; may be repeated.",
      valueName: "list"))
  var tokenIds: [IntegerList] = []

  @Option(
    help: ArgumentHelp(
      "An image in place of a prompt, for image models (vit, dinov2, and the image encoders of clip "
        + "and siglip): PNG, JPEG, or a .safetensors file holding pixel_values; may be repeated.",
      valueName: "file"))
  var image: [FilePath] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The encoder's text, for encoder-decoder models; prompts are the decoder's.",
      valueName: "text"))
  var encoderPrompt: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The encoder's text as token ids, used unchanged.", valueName: "list"))
  var encoderTokenIds: IntegerList?

  func validate() throws {
    guard !prompt.isEmpty || prompts != nil || !tokenIds.isEmpty || !image.isEmpty else {
      throw ValidationError("nothing to run: give --prompt, --prompts, --token-ids or --image")
    }
  }

  /// All prompts: texts, then the file's, then token ids, then images. Prints a note on standard error where a file may
  /// have been meant differently from how it was read.
  func inputs(quiet: Bool) throws -> [PromptInput] {
    var inputs = prompt.map { PromptInput.text($0) }
    if let prompts {
      let file = try PromptFile(prompts.path)
      if !quiet { file.notes.forEach(note) }
      inputs += file.prompts
    }
    return inputs + tokenIds.map { .tokens($0.values) } + image.map { .image($0.path) }
  }
}
