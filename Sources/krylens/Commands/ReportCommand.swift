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
      let kinds = runs.map { RunKind($0.path) }
      for (run, kind) in zip(runs, kinds) where ![.align, .triplets, .lensRead].contains(kind) {
        throw RunError.unfit(
          path: run.path,
          reason:
            "is a run of krylens \(kind == .lens ? "lens fit" : kind.rawValue), but reports show runs of align, "
            + "triplets or lens read; krylens show prints its tables")
      }
      let (kind, paths) = (kinds[0], runs.map(\.path))
      if let other = kinds.firstIndex(where: { $0 != kind }) {
        throw RunError.unfit(
          path: paths[other],
          reason:
            "is a run of \(kinds[other].rawValue), but \(paths[0]) is of \(kind.rawValue); make one report for "
            + "each kind")
      }
      if let scores, kind != .align {
        throw OptionError(
          option: "--scores", value: scores.path,
          reason: "is only for runs of align; leave it out for runs of \(kind.rawValue)")
      }
      Interrupt.catchSignals()
      do {
        switch kind {
        case .triplets: try MapReport(paths).write(to: output.path, before: Interrupt.check)
        case .lensRead: try LensReport(paths).write(to: output.path, before: Interrupt.check)
        default:
          let stored = try paths.map { path throws in try StoredRun(path) }
          try RunReport(stored, scores: column).write(to: output.path, before: Interrupt.check)
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
