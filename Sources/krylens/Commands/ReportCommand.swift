import Analysis
import ArgumentParser
import Report

/// Figures and a page of runs.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Figures of run folders, and one self-contained page that shows them (needs gnuplot)."
  )

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"), completion: .directory)
  var runs: [FilePath]

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The report's folder: new, empty, or that of an earlier report, which is replaced.",
      valueName: "dir"), completion: .directory)
  var output: FilePath

  @Option(
    help: ArgumentHelp(
      "Scores of the models, as for correlate: CSV, model, then one column per score.",
      valueName: "file"))
  var scores: FilePath?

  @Option(help: ArgumentHelp("The column of scores.", valueName: "column"))
  var score = "mean_of_six"

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let column = try scores.map { try ScoreFile.read($0.path, column: score) }
      let stored = try runs.map { path throws in try StoredRun(path.path) }
      let report = try RunReport(stored, scores: column)
      Interrupt.catchSignals()
      do { try report.write(to: output.path, before: Interrupt.check) } catch {
        // Ctrl-C reaches gnuplot too, which then fails.
        try Interrupt.check()
        throw error
      }
      if !quiet {
        try StandardOutput.print("written to \(output.path); open \(output.path)/index.html")
      }
    }
  }
}
