import Analysis
import Foundation

/// A key under which records do not all say the same, such as a setting of several runs.
public struct RecordDifference: Codable, Sendable, Equatable {
  /// The key, as `result.json` spells it.
  public let key: String
  /// What each record has there, in order: text as it is, all else as JSON.
  public let values: [String]

  /// All of them, by key. Throws `EncodingError`.
  static func all(_ records: [some Encodable & Sendable]) throws -> [RecordDifference] {
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

  /// `last: residual in a, b; normed in c`, the names those of the records.
  func description(_ names: [String]) -> String {
    var groups: [(value: String, names: [String])] = []
    for (value, name) in zip(values, names) {
      if let i = groups.firstIndex(where: { $0.value == value }) {
        groups[i].names.append(name)
      } else {
        groups.append((value, [name]))
      }
    }
    return "\(key): "
      + groups.map { "\($0.value) in \(listed($0.names))" }.joined(separator: "; ")
  }
}

/// Names in a message: the first three, and how many more there are.
func listed(_ names: [String]) -> String {
  names.prefix(3).joined(separator: ", ") + (names.count > 3 ? " and \(names.count - 3) more" : "")
}
