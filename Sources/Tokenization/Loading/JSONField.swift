import Files
import Checkpoint

/// A value in a JSON file together with its path, so that every error names the file and the field.
struct JSONField {
  let file: String
  let path: String
  let value: JSONValue

  /// An error about the value of this field.
  func invalid(_ reason: String) -> TokenizationError {
    .invalidField(file: file, field: path.isEmpty ? "top level" : path, reason: reason)
  }

  /// The error for a valid value that is not supported.
  func unsupported(_ value: String) -> TokenizationError {
    .unsupported(file: file, field: path, value: value)
  }

  private func child(_ name: String, _ value: JSONValue) -> JSONField {
    JSONField(file: file, path: path.isEmpty ? name : "\(path).\(name)", value: value)
  }

  /// A member that may be missing or `null`.
  func optional(_ key: String) throws(TokenizationError) -> JSONField? {
    guard let value = try object()[key], !value.isNull else { return nil }
    return child(key, value)
  }

  /// A required member.
  func required(_ key: String) throws(TokenizationError) -> JSONField {
    guard let field = try optional(key) else {
      throw .missingField(file: file, field: path.isEmpty ? key : "\(path).\(key)")
    }
    return field
  }

  /// The elements of an array.
  func elements() throws(TokenizationError) -> [JSONField] {
    guard let array = value.array else { throw invalid("must be an array") }
    return array.enumerated().map { JSONField(file: file, path: "\(path)[\($0)]", value: $1) }
  }

  func object() throws(TokenizationError) -> JSONObject {
    guard let object = value.object else { throw invalid("must be an object") }
    return object
  }

  func string() throws(TokenizationError) -> String {
    guard let string = value.string else { throw invalid("must be a string") }
    return string
  }

  func int() throws(TokenizationError) -> Int {
    guard let int = value.int else { throw invalid("must be an integer") }
    return int
  }

  func bool() throws(TokenizationError) -> Bool {
    guard let bool = value.bool else { throw invalid("must be true or false") }
    return bool
  }

  /// A string of one Unicode scalar.
  func scalar() throws(TokenizationError) -> UInt32 {
    let scalars = try string().unicodeScalars
    guard let first = scalars.first, scalars.count == 1 else {
      throw invalid("must be one character")
    }
    return first.value
  }

  /// A Boolean that may be missing.
  func bool(_ key: String, default value: Bool) throws(TokenizationError) -> Bool {
    try optional(key)?.bool() ?? value
  }

  /// The member `type`, which every component of a tokenizer has.
  func type() throws(TokenizationError) -> String { try required("type").string() }
}
