import Analysis
import ArgumentParser
import Foundation

/// The tables of a run, as `align` printed them.
struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "The tables of a run, as align printed them; of an unfinished one what is known.")

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"), completion: .directory)
  var folder: FilePath

  func run() throws {
    try withExitStatus {
      let path = folder.path
      let isFinished = FileManager.default.fileExists(atPath: "\(path)/result.json")
      let table =
        try isFinished
        ? AlignmentTable(RecordFile(path), folder: path)
        : AlignmentTable(StoredRun(path).record, folder: path)
      try StandardOutput.print(table.text)
    }
  }
}
