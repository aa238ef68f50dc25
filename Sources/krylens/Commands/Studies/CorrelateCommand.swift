import Files
import Studies
import Alignment
import Analysis
import ArgumentParser

/// What `correlate` holds against a score.
private enum QuantityName: String, ExpressibleByArgument, CaseIterable {
  case coupling
  case lineShapeScore = "line-shape-score"
  case growth
  case expodistance
}

/// Statistics across models or checkpoints: a quantity of many runs against a score of each.
struct CorrelateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "correlate",
    abstract: "How coupling, or another number of many runs, goes with a score of each model.",
    discussion: """
      Scores come from a CSV file whose first column, model, names each model as its run does: in full, as in \
      align --name org/model. What the runs' sizes alone would do stands beside the result. \
      Exit status 1 when fewer than 3 runs have a score.
      """)

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"), completion: .directory)
  var runs: [FilePath]

  @Option(help: ArgumentHelp("CSV: model, then one column per score.", valueName: "file"))
  var scores: FilePath

  @Option(help: ArgumentHelp("The column.", valueName: "column"))
  var score = "mean_of_six"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("R² of the models above this score, too.", valueName: "x"))
  var above: Double?

  @Option(help: "What is held against the score.")
  private var quantity = QuantityName.coupling

  @Option(help: "Whose paths: last, others (all but the first), first; not for coupling.")
  var tokens: TrajectoryStatistic.Tokens?

  @OptionGroup var options: ReadingOptions

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if let above, !above.isFinite { throw ValidationError("--above \(above): must be a number") }
    if quantity == .coupling, tokens != nil {
      throw ValidationError("--tokens is of paths; leave it out, or name one with --quantity")
    }
    if tokens == .selected {
      throw ValidationError("--tokens selected: no path has that name; say last, others or first")
    }
    if quantity != .coupling, !options.isEmpty {
      throw ValidationError(
        "--kind, --rank, --sign, --normalisation and --form are of coupling; leave them out with "
          + "--quantity \(quantity.rawValue)")
    }
  }

  func run() throws {
    try withExitStatus {
      let column = try ScoreFile.read(scores.path, column: score)
      let stored = try runs.map { try StoredRun($0.path) }
      let study = try CorrelationStudy(stored, chosen, scores: column, above: above)
      try StandardOutput.print(
        json
          ? String(decoding: try recordJSON(study), as: UTF8.self)
          : CorrelationTable(study, file: scores.path).text)
      guard study.statistics != nil else {
        throw RunError.tooFewScored(
          count: study.models.count { $0.standing == .used }, needed: CorrelationStudy.fewest,
          path: escaped(scores.path, limit: 100))
      }
    }
  }

  private var chosen: RunQuantity {
    var reading = options.reading
    reading.kind = reading.kind ?? .depth
    let tokens = tokens ?? .last
    return switch quantity {
    case .coupling: .coupling(reading)
    case .lineShapeScore: .path(.lineShapeScore, tokens)
    case .growth: .path(.growth, tokens)
    case .expodistance: .path(.expodistance, tokens)
    }
  }
}
