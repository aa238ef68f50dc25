/// One prompt as it was given.
public enum PromptInput: Sendable, Equatable {
  /// Text, for the model's tokenizer; `origin` is its place in a file, such as `line 31 of long.txt`.
  case text(String, origin: String? = nil)
  /// Token ids, used unchanged.
  case tokens([Int])
  /// A PNG or JPEG file, or a .safetensors file of pixel values.
  case image(String)
}
