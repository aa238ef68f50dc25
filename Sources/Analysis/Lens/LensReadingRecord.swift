import Files
import Foundation

/// The result of `lens read`, as recorded in `result.json` (keys in snake case).
package struct LensReadingRecord: Codable, Sendable {
  /// The version that wrote it.
  package let krylens: String
  /// `lens read`.
  package let command: RunKind
  /// The model.
  package let model: ModelRecord
  /// The prompt's text, if it was given as text.
  @Nullable package var text: String?
  /// The reading. In `result.json` its members are on the same level as the others.
  package let reading: LensReading

  private enum CodingKeys: CodingKey { case krylens, command, model, text }

  /// Of what was read in the first prompt of `loaded`. Reads the weights once, for their fingerprint. Throws `FileError`.
  package init(_ reading: LensReading, of loaded: LoadedModel) throws {
    (krylens, command, model) = (krylensVersion, .lensRead, try loaded.record())
    if case .text(let value, _)? = loaded.prompts.first?.given { text = value }
    self.reading = reading
  }

  /// Reads what `write(to:)` writes. Throws `RunError.badRun`.
  package init(folder: String) throws(RunError) {
    self = try storedRecord(folder)
    let known = reading.tokenIds.indices
    let isSound =
      reading.places.allSatisfy { known.contains($0.token) }
      && reading.tokens.map { $0.count == reading.tokenIds.count } ?? true
    guard isSound else {
      throw .badRun(path: folder, reason: "result.json: a place is of a token that is not there")
    }
  }

  /// Reads what `encode(to:)` writes.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    krylens = try values.decode(String.self, forKey: .krylens)
    command = try values.decode(RunKind.self, forKey: .command)
    model = try values.decode(ModelRecord.self, forKey: .model)
    _text = try values.decode(Nullable<String>.self, forKey: .text)
    reading = try LensReading(from: decoder)
  }

  /// One object with the members of the reading.
  package func encode(to encoder: any Encoder) throws {
    try reading.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(krylens, forKey: .krylens)
    try values.encode(command, forKey: .command)
    try values.encode(model, forKey: .model)
    try values.encode(_text, forKey: .text)
  }

  /// Writes `result.json` into a folder that is new or empty. Throws `RunError.cannotWrite`, and `badSetting` for one that holds
  /// something.
  package func write(to path: String) throws {
    let folder = try OutputFolder(making: path, name: path)
    try folder.write(try recordJSON(self), to: "result.json")
  }

  /// Throws `RunError.badSetting` where `write(to:)` would write among other files.
  package static func checkIsFree(_ path: String) throws(RunError) {
    let files = FileManager.default
    guard files.fileExists(atPath: path) else { return }
    guard let contents = try? files.contentsOfDirectory(atPath: path), contents.isEmpty else {
      throw .badSetting(
        .output, value: path, reason: "exists and is not an empty folder; choose another")
    }
  }
}
