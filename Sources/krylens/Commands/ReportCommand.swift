import Analysis
import ArgumentParser
import Report

/// Draws the figures of runs on one page.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draw the figures of run folders on one self-contained page (needs gnuplot).",
    usage: "krylens report [<options>] --output <dir> <run> ..."
  )

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"), completion: .directory)
  var runs: [FilePath]

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The report's folder: new, empty, or an earlier report's, which is then replaced.",
      valueName: "dir"), completion: .directory)
  var output: FilePath

  @Option(
    help: ArgumentHelp(
      "Scores of the models, as for correlate: a CSV file with the column model, then one column per score.",
      valueName: "file"))
  var scores: FilePath?

  @Option(help: ArgumentHelp("The column with the scores.", valueName: "column"))
  var score = "mean_of_six"

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let column = try scores.map { try ScoreFile.read($0.path, column: score) }
      for run in runs {
        let kind = RunKind(run.path)
        guard kind == .align || kind == .triplets else {
          throw RunError.unfit(
            path: run.path,
            reason:
              "is a run of krylens \(kind.rawValue), but reports show runs of align or triplets; krylens show "
              + "prints its tables")
        }
      }
      let maps = runs.map(\.path).filter { RunKind($0) == .triplets }
      Interrupt.catchSignals()
      do {
        if maps.isEmpty {
          let stored = try runs.map { path throws in try StoredRun(path.path) }
          try RunReport(stored, scores: column).write(to: output.path, before: Interrupt.check)
        } else {
          if let other = runs.first(where: { !maps.contains($0.path) }) {
            throw RunError.unfit(
              path: other.path,
              reason: "is not a run of triplets like \(maps[0]); make one report for each kind")
          }
          if let scores {
            throw OptionError(
              option: "--scores", value: scores.path,
              reason: "is only for runs of align; leave it out for runs of triplets")
          }
          try MapReport(maps).write(to: output.path, before: Interrupt.check)
        }
      } catch {
        // Ctrl-C also reaches gnuplot, which then fails.
        try Interrupt.check()
        throw error
      }
      if !quiet {
        try StandardOutput.print("written to \(output.path); open \(output.path)/index.html")
      }
    }
  }
}
