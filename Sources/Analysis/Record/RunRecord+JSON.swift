import Foundation

extension RunRecord {
  /// The bytes of `result.json`.
  public func json() throws -> Data { try recordJSON(self) }

  /// Reads what `json()` writes. Throws `DecodingError`.
  public init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    self = try decoder.decode(RunRecord.self, from: json)
  }
}

/// A result as JSON, with sorted keys in snake case and numbers with all their digits.
public func recordJSON(_ value: some Encodable) throws -> Data {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  return try encoder.encode(value)
}
