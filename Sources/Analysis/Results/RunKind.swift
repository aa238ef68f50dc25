import Files
import Foundation

/// The command that wrote a run folder.
package enum RunKind: String, Codable, Sendable {
  /// `align`.
  case align
  /// `triplets`.
  case triplets
  /// `eigen`.
  case eigen
  /// `lens fit`.
  case lens
  /// `lens read`.
  case lensRead = "lens read"

  /// The kind recorded in the folder's `result.json`, or in the manifest of an unfinished run; `align`, which does not record
  /// its kind, if neither has one.
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
    // The value is a word in quotes.
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
      path: folder, reason: "it is unfinished: repeat its command, which resumes it")
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
