import Analysis
import Files

/// The settings of a call: a JSON object whose keys are names of settings. Every function reads the settings it supports and
/// refuses others.
final class SettingsReader {
  private let object: JSONObject
  /// The keys that were read, in that order.
  private var known: [SettingKey] = []

  /// Parses a caller's settings; NULL means no settings. Throws `Failure`.
  init(_ argument: UnsafePointer<CChar>?) throws(Failure) {
    guard let argument else {
      object = JSONObject()
      return
    }
    let text = try CKrylens.text(argument, "settings")
    let value: JSONValue
    do throws(FileError) {
      value = try JSONValue.parse(Array(text.utf8), source: "settings")
    } catch {
      guard case .malformedJSON(_, let offset, let reason) = error else { throw Failure(error) }
      throw .argument("settings: not valid JSON at byte \(offset): \(reason)")
    }
    guard let object = value.object else {
      throw .argument("settings: must be a JSON object, as in {\"threads\": 2}")
    }
    self.object = object
  }

  /// The value of a key; nil if it is missing or null.
  private func value(_ key: SettingKey) -> JSONValue? {
    if !known.contains(key) { known.append(key) }
    return object[key.rawValue].flatMap { $0.isNull ? nil : $0 }
  }

  /// Throws `Failure` for a key that was not read; to be called after all supported keys have been read.
  func refuseUnknown() throws(Failure) {
    let names = Set(known.map(\.rawValue))
    guard let key = object.members.first(where: { !names.contains($0.key) })?.key else { return }
    throw .argument(
      "settings: there is no setting \(quoted(key)); there are "
        + known.map(\.rawValue).joined(separator: ", "))
  }

  private func refusal(_ key: SettingKey, _ value: JSONValue, _ reason: String) -> RunError {
    .badSetting(key, value: value.shown, reason: "\(reason)")
  }

  /// The value of a key, converted by `read`, which returns nil for an invalid value. Throws `RunError`.
  func read<Value>(
    _ key: SettingKey, _ needed: String, _ read: (JSONValue) -> Value?
  ) throws(RunError) -> Value? {
    guard let value = value(key) else { return nil }
    guard let result = read(value) else { throw refusal(key, value, "must be \(needed)") }
    return result
  }

  func integer(_ key: SettingKey) throws(RunError) -> Int? {
    try read(key, "an integer", \.int)
  }

  /// A seed, from 0 to 2⁶³ − 1.
  func seed(_ key: SettingKey) throws(RunError) -> UInt64? {
    try read(key, "a nonnegative integer") { $0.int.flatMap(UInt64.init(exactly:)) }
  }

  func number(_ key: SettingKey) throws(RunError) -> Double? {
    try read(key, "a number", \.double)
  }

  func flag(_ key: SettingKey) throws(RunError) -> Bool? {
    try read(key, "true or false", \.bool)
  }

  func text(_ key: SettingKey) throws(RunError) -> String? { try read(key, "a text", \.string) }

  func integers(_ key: SettingKey) throws(RunError) -> [Int]? {
    try read(key, "an array of integers", \.integers)
  }

  /// A text, or an array of texts.
  func texts(_ key: SettingKey) throws(RunError) -> [String] {
    try read(key, "a text, or an array of texts") { value in
      value.string.map { [$0] } ?? value.all(\.string)
    } ?? []
  }

  /// An array of integers, or an array of such arrays.
  func integerLists(_ key: SettingKey) throws(RunError) -> [[Int]] {
    try read(key, "an array of integers, or an array of such arrays") { value in
      if let list = value.integers { return [list] }
      return value.all(\.integers)
    } ?? []
  }

  /// One of the cases of a type, by name.
  func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: SettingKey, _ type: Choice.Type = Choice.self
  ) throws(RunError) -> Choice? {
    let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
    return try read(key, "one of \(words)") { $0.string.flatMap(Choice.init(rawValue:)) }
  }
}

extension JSONValue {
  /// The elements of a nonempty array of integers; nil for any other value.
  var integers: [Int]? { all(\.int) }

  /// The elements of a nonempty array, converted by `read`; nil if one of them cannot be converted.
  func all<Element>(_ read: (JSONValue) -> Element?) -> [Element]? {
    guard let array, !array.isEmpty else { return nil }
    let elements = array.compactMap(read)
    return elements.count == array.count ? elements : nil
  }

  /// The value as messages show it.
  var shown: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(.integer(let value)): "\(value)"
    case .number(.real(let value)): "\(value)"
    case .string(let text): quoted(text, limit: 40)
    case .array(let values):
      "[\(values.prefix(4).map(\.shown).joined(separator: ", "))\(values.count > 4 ? ", …" : "")]"
    case .object: "{…}"
    }
  }
}
