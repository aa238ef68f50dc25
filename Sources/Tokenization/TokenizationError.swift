import Files

/// Why a tokenizer cannot be read or used. Every case names the file and the field in it.
public enum TokenizationError: Error, Equatable, Sendable {
  /// A model's folder that holds no vocabulary.
  case noVocabulary(folder: String)
  /// A field that must be there is not.
  case missingField(file: String, field: String)
  /// A field holds what it must not.
  case invalidField(file: String, field: String, reason: String)
  /// The file is sound, but asks for something that is not implemented here: `value`, in `field`.
  case unsupported(file: String, field: String, value: String)
}

extension TokenizationError: CustomStringConvertible {
  /// One or two sentences: file, field, what is wrong, what to do.
  public var description: String {
    switch self {
    case .noVocabulary(let folder):
      return "\(folder) has no vocabulary; put its tokenizer.json there, or give token ids"
    case .missingField(let file, let field):
      return "\(file): \(field) is missing; download the file again, or give token ids"
    case .invalidField(let file, let field, let reason):
      return "\(file): \(field): \(reason); download the file again, or give token ids"
    case .unsupported(let file, let field, let value):
      return
        "\(file): \(field) is \(value), which is not supported; tokenize the text elsewhere and "
        + "give its token ids"
    }
  }
}
