/// A JSON file as Python writes it whose top is an object, such as `config.json`; what is asked of it and is not there is
/// an error that names file and field.
///
/// A member that is `null` counts as absent.
public struct ConfigurationFile: Sendable {
  /// The file.
  public let path: String
  /// What it holds, or the part of it this is.
  public let object: JSONObject
  /// `rope_scaling.` for the part under that key, empty for the whole.
  private let prefix: String

  /// Reads the file at `path`. Throws what `JSONValue.parse(file:)` throws, and `invalidField` unless it holds an object.
  public init(_ path: String) throws(FileError) {
    guard let object = try JSONValue.parse(file: path, dialect: .python).object else {
      throw .invalidField(file: path, field: "the whole", reason: "it is no JSON object")
    }
    self.init(path: path, object: object)
  }

  /// The file `path` would be if it held `object`.
  public init(path: String, object: JSONObject) { self.init(path, object, prefix: "") }

  private init(_ path: String, _ object: JSONObject, prefix: String) {
    self.path = path
    self.object = object
    self.prefix = prefix
  }

  /// The value under `key`, nil if it is absent or `null`.
  public subscript(key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// The integer under `key`, `fallback` if it is absent. Throws `FileError.missingField` without a fallback,
  /// `invalidField` for a value of another kind.
  public func int(_ key: String, default fallback: Int? = nil) throws(FileError) -> Int {
    try value(key, fallback, "it is no integer", \.int)
  }

  /// As `int`, for a number.
  public func double(
    _ key: String, default fallback: Double? = nil
  ) throws(FileError) -> Double {
    try value(key, fallback, "it is no number", \.double)
  }

  /// As `int`, for a truth value.
  public func bool(_ key: String, default fallback: Bool? = nil) throws(FileError) -> Bool {
    try value(key, fallback, "it is neither true nor false", \.bool)
  }

  /// As `int`, for a text.
  public func string(
    _ key: String, default fallback: String? = nil
  ) throws(FileError) -> String {
    try value(key, fallback, "it is no text", \.string)
  }

  /// The object under `key`, nil if it is absent. Throws `FileError.invalidField` for a value of another kind.
  public func part(_ key: String) throws(FileError) -> ConfigurationFile? {
    guard let value = self[key] else { return nil }
    guard let object = value.object else { throw invalid(key, "it is no object") }
    return ConfigurationFile(path, object, prefix: "\(prefix)\(key).")
  }

  /// An error about the value under `key`, for a reader who finds that it cannot be.
  public func invalid(_ key: String, _ reason: String) -> FileError {
    .invalidField(file: path, field: prefix + key, reason: reason)
  }

  private func value<T>(
    _ key: String, _ fallback: T?, _ otherwise: String, _ kind: (JSONValue) -> T?
  ) throws(FileError) -> T {
    guard let value = self[key] else {
      guard let fallback else { throw .missingField(file: path, field: prefix + key) }
      return fallback
    }
    guard let result = kind(value) else { throw invalid(key, otherwise) }
    return result
  }
}
