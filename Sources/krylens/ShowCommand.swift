import Analysis
import ArgumentParser

/// The tables of a run, as `align` printed them.
struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "The tables of a run, as align printed them; of an unfinished one what is known.")

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"), completion: .directory)
  var folder: FilePath

  func run() throws {
    try withExitStatus {
      let record = try StoredRun(folder.path).record
      try StandardOutput.print(AlignmentTable(record, folder: folder.path).text)
    }
  }
}
