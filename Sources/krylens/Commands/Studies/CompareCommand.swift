import Studies
import Analysis
import ArgumentParser

/// Two runs side by side: trained against random, checkpoint against checkpoint, precision against precision.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Two runs side by side: what differs, every number, and whether the two stand apart.")

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"), completion: .directory)
  var first: FilePath

  @Argument(help: ArgumentHelp("Another.", valueName: "run"), completion: .directory)
  var second: FilePath

  @OptionGroup var options: ReadingOptions

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    try withExitStatus {
      let comparison = try RunComparison(
        try StoredRun(first.path), try StoredRun(second.path), reading: options.reading)
      try StandardOutput.print(
        json
          ? String(decoding: try recordJSON(comparison), as: UTF8.self)
          : ComparisonTable(comparison).text)
    }
  }
}
