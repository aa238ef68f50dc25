import Foundation

/// A key whose values differ between records, such as a setting of several runs.
public struct RecordDifference: Codable, Sendable, Equatable {
  /// The key, as `result.json` spells it.
  public let key: String
  /// The value in each record, in order: text unchanged, everything else as JSON.
  public let values: [String]

  /// A difference.
  package init(key: String, values: [String]) {
    (self.key, self.values) = (key, values)
  }

  /// All differences between records, sorted by key. Throws `EncodingError`.
  package static func all(_ records: [some Encodable & Sendable]) throws -> [RecordDifference] {
    let tables = try records.map(texts)
    return Set(tables.flatMap(\.keys)).sorted().compactMap { key in
      let values = tables.map { $0[key] ?? "null" }
      return Set(values).count > 1 ? RecordDifference(key: key, values: values) : nil
    }
  }

  private static func texts(_ record: some Encodable & Sendable) throws -> [String: String] {
    let object = try JSONSerialization.jsonObject(with: try recordJSON(record))
    return try (object as? [String: Any] ?? [:]).mapValues { value in
      if let text = value as? String { return text }
      let json = try JSONSerialization.data(
        withJSONObject: value, options: [.fragmentsAllowed, .sortedKeys, .withoutEscapingSlashes])
      return String(decoding: json, as: UTF8.self)
    }
  }

  /// The difference between two records in words: `seed is 0 there and 7 here`.
  var message: SettingMessage {
    let name: SettingMessage = SettingKey(rawValue: key).map { "\($0)" } ?? "\(key)"
    return "\(name) is \(values[0]) there and \(values[1]) here"
  }
}

extension RunSettings {
  /// The difference in a setting in words; nil if it is the same.
  func difference(_ key: SettingKey, from other: RunSettings) throws -> SettingMessage? {
    try RecordDifference.all([self, other]).first { $0.key == key.rawValue }?.message
  }
}
