import Files
import Foundation

/// Which command wrote a run folder.
package enum RunKind: String, Codable, Sendable {
  /// `align`.
  case align
  /// `triplets`.
  case triplets
  /// `eigen`.
  case eigen
  /// `lens fit`.
  case lens

  /// What the folder's `result.json` says, or of a run that has not ended its manifest; `align`, which does not say so, where
  /// neither says anything.
  package init(_ folder: String) {
    let result = "\(folder)/result.json"
    let isBegun = !FileManager.default.fileExists(atPath: result)
    let file = try? MappedFile(isBegun ? "\(folder)/\(partialName)/manifest.json" : result)
    let command = file.flatMap { file in
      withExtendedLifetime(file) { try? Self.command(file) }
    }
    self = command.flatMap { RunKind(rawValue: $0) } ?? .align
  }

  private static func command(_ file: MappedFile) throws -> String? {
    let scanner = JSONScanner(bytes: file.bytes) { _ in }
    let members = try scanner.members(of: 0..<file.count) ?? []
    guard
      let member = members.first(where: { file.bytes[$0.key].elementsEqual("command".utf8) })
    else { return nil }
    // A word in quotes.
    return String(decoding: file.bytes[member.value].dropFirst().dropLast(), as: UTF8.self)
  }
}

/// The `result.json` of a folder as the record of the command that wrote it. Throws `RunError.badRun`.
package func storedRecord<Record: Decodable>(_ folder: String) throws(RunError) -> Record {
  let files = FileManager.default
  if !files.fileExists(atPath: "\(folder)/result.json"),
    files.fileExists(atPath: "\(folder)/\(partialName)/manifest.json")
  {
    throw .badRun(
      path: folder, reason: "it has not ended: repeat its command, which goes on where it stopped")
  }
  do {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let json = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/result.json"))
    return try decoder.decode(Record.self, from: json)
  } catch let error as DecodingError {
    throw .badRun(path: folder, reason: "result.json: \(error.place())")
  } catch {
    throw .badRun(path: folder, reason: error.localizedDescription)
  }
}
