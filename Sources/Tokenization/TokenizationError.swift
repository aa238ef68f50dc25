import Files

/// Why a tokenizer cannot be read or used. Every case names the file and the field in it.
public enum TokenizationError: Error, Equatable, Sendable {
  /// The model's folder or file has no vocabulary.
  case noVocabulary(folder: String)
  /// A required field is missing.
  case missingField(file: String, field: String)
  /// A field has an invalid value.
  case invalidField(file: String, field: String, reason: String)
  /// The file is valid, but `value` in `field` is not supported.
  case unsupported(file: String, field: String, value: String)
}

extension TokenizationError: CustomStringConvertible {
  /// One or two sentences: the file, the field, what is wrong, and what to do. Control characters, which names from the file
  /// may contain, are escaped.
  public var description: String { escaped(message) }

  private var message: String {
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
