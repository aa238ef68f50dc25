import Analysis
import ArgumentParser
import Report

/// Figures and a page of runs.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Figures of run folders, and one self-contained page that shows them (needs gnuplot)."
  )

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"))
  var runs: [String]

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("The report's folder; must not exist, or be empty.", valueName: "dir"))
  var output: String

  @Option(
    help: ArgumentHelp(
      "Scores of the models, as for correlate: CSV, model, then a column a score.",
      valueName: "file"))
  var scores: String?

  @Option(help: ArgumentHelp("The column of scores.", valueName: "column"))
  var score = "mean_of_six"

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let column = try scores.map { try ScoreFile.read($0, column: score) }
      let stored = try runs.map { path throws in try StoredRun(path) }
      let report = try RunReport(stored, scores: column)
      try report.write(to: output)
      if !quiet { print("written to \(output); open \(output)/index.html") }
    }
  }
}
