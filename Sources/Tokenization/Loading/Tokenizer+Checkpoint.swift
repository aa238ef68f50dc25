import Checkpoint
import Files

extension Tokenizer {
  /// The tokenizer of a model: `tokenizer.json` in its folder, or the vocabulary in its GGUF file.
  ///
  /// Throws `TokenizationError`, in particular `noVocabulary` if there is none, and `FileError`.
  public init(for model: CheckpointDirectory) throws {
    if case .gguf(let file) = model.kind {
      try self.init(gguf: file)
    } else if let path = try model.tokenizerPath {
      try self.init(tokenizerJSON: path)
    } else {
      throw TokenizationError.noVocabulary(folder: model.path)
    }
  }
}
