/// A JSON file, as Python writes it, that holds an object, such as `config.json`. Errors name the file and the field.
///
/// A member that is `null` counts as absent.
public struct ConfigurationFile: Sendable {
  /// The path of the file.
  public let path: String
  /// The object that the file holds, or the part of it that this value stands for.
  public let object: JSONObject
  /// What precedes the keys in messages: `rope_scaling.` for the part under that key, empty for the whole file.
  private let prefix: String

  /// Reads the file at `path`. Throws what `JSONValue.parse(file:)` throws, and `invalidField` unless it holds an object.
  public init(_ path: String) throws(FileError) {
    guard let object = try JSONValue.parse(file: path, dialect: .python).object else {
      throw .invalidField(file: path, field: "top level", reason: "not a JSON object")
    }
    self.init(path: path, object: object)
  }

  /// A configuration with the contents of `object`; `path` is for messages.
  public init(path: String, object: JSONObject) { self.init(path, object, prefix: "") }

  private init(_ path: String, _ object: JSONObject, prefix: String) {
    self.path = path
    self.object = object
    self.prefix = prefix
  }

  /// The value under `key`; nil if it is absent or `null`.
  public subscript(key: String) -> JSONValue? {
    guard let value = object[key], !value.isNull else { return nil }
    return value
  }

  /// The integer under `key`, or `fallback` if it is absent. Throws `FileError.missingField` if it is absent and there is no
  /// fallback, and `invalidField` for a value of another type.
  public func int(_ key: String, default fallback: Int? = nil) throws(FileError) -> Int {
    try value(key, fallback, "not an integer", \.int)
  }

  /// Like `int`, for a number.
  public func double(
    _ key: String, default fallback: Double? = nil
  ) throws(FileError) -> Double {
    try value(key, fallback, "not a number", \.double)
  }

  /// Like `int`, for a Boolean.
  public func bool(_ key: String, default fallback: Bool? = nil) throws(FileError) -> Bool {
    try value(key, fallback, "neither true nor false", \.bool)
  }

  /// Like `int`, for a string.
  public func string(
    _ key: String, default fallback: String? = nil
  ) throws(FileError) -> String {
    try value(key, fallback, "not a string", \.string)
  }

  /// The object under `key`; nil if it is absent. Throws `FileError.invalidField` for a value of another type.
  public func part(_ key: String) throws(FileError) -> ConfigurationFile? {
    guard let value = self[key] else { return nil }
    guard let object = value.object else { throw invalid(key, "not an object") }
    return ConfigurationFile(path, object, prefix: "\(prefix)\(key).")
  }

  /// An error about the value under `key`, for a reader that cannot use it.
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
