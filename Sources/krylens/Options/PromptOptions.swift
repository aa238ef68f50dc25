import Analysis
import ArgumentParser

/// The options that say what a model is run on.
struct PromptOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A prompt; may be given more than once.", valueName: "text"))
  var prompt: [String] = []

  @Option(
    help: ArgumentHelp(
      "A file of prompts: .txt, one per line; .jsonl, or a .json array, with the key text or prompt.",
      valueName: "file"))
  var prompts: FilePath?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A prompt as token ids, used as they are: 1,2,3; may be given more than once.",
      valueName: "list"))
  var tokenIds: [IntegerList] = []

  @Option(
    help: ArgumentHelp(
      "An image in place of a prompt (models of images: vit, dinov2, and of clip and siglip the "
        + "part that reads them): PNG, JPEG, or a .safetensors file holding pixel_values; may be "
        + "given more than once.", valueName: "file"))
  var image: [FilePath] = []

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The text the encoder reads (t5); prompts are the decoder's.", valueName: "text"))
  var encoderPrompt: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The same as token ids, used as they are.", valueName: "list"))
  var encoderTokenIds: IntegerList?

  func validate() throws {
    guard !prompt.isEmpty || prompts != nil || !tokenIds.isEmpty || !image.isEmpty else {
      throw ValidationError("nothing to run: give --prompt, --prompts, --token-ids or --image")
    }
  }

  /// All prompts: texts, then the file's, then token ids, then images. Says on standard error what was made of a file that
  /// may have been meant otherwise.
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
