import Studies
import Analysis
import ArgumentParser

/// Compares two runs: trained with random weights, one checkpoint with another, one precision with another.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract:
      "Compare two runs: what differs, every number, and which differences are significant.",
    usage: "krylens compare [<options>] <run> <run>")

  @Argument(help: ArgumentHelp("A run folder.", valueName: "run"), completion: .directory)
  var first: FilePath

  @Argument(help: ArgumentHelp("Another run folder.", valueName: "run"), completion: .directory)
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
