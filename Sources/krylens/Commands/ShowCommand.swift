import Analysis
import ArgumentParser
import Foundation

/// Prints the tables of a run, as its command printed them.
struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract:
      "Print the tables of a run again; of an unfinished run, what is known so far."
  )

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"), completion: .directory)
  var folder: FilePath

  func run() throws {
    try withExitStatus {
      let path = folder.path
      try StandardOutput.print(try Self.text(path))
    }
  }

  private static func text(_ path: String) throws -> String {
    switch RunKind(path) {
    case .triplets:
      return MapTable(
        try MapRunRecord.begun(in: path) ?? MapRunRecord(folder: path), folder: path
      ).text
    case .eigen:
      return EigenTable(
        try EigenRecord.begun(in: path) ?? EigenRecord(folder: path), folder: path
      ).text
    case .lens:
      return LensTable.fitted(
        try LensRecord.begun(in: path) ?? LensRecord(folder: path), folder: path
      ).joined(separator: "\n")
    case .lensRead:
      return LensTable.read(try LensReadingRecord(folder: path).reading).joined(separator: "\n")
    case .align: break
    }
    guard FileManager.default.fileExists(atPath: "\(path)/result.json") else {
      return AlignmentTable(try StoredRun(path).record, folder: path).text
    }
    return try AlignmentTable(RecordFile(path), folder: path).text
  }
}
