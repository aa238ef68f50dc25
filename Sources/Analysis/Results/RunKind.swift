import Files
import Foundation

/// Which command wrote a run folder.
package enum RunKind: String, Sendable {
  /// `align`.
  case align
  /// `triplets`.
  case triplets
  /// `eigen`.
  case eigen

  /// What the folder's `result.json` says; `align`, which does not say so, where it says nothing.
  package init(_ folder: String) {
    let command = (try? MappedFile("\(folder)/result.json")).flatMap { file in
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
