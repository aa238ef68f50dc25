import Files
import Studies
import Alignment
import Analysis
import ArgumentParser

/// The quantities that `correlate` can hold against a score.
private enum QuantityName: String, ExpressibleByArgument, CaseIterable {
  case coupling
  case lineShapeScore = "line-shape-score"
  case growth
  case expodistance
}

/// Correlates a quantity of many runs, of models or checkpoints, with a score of each.
struct CorrelateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "correlate",
    abstract: "Correlate coupling, or another quantity of many runs, with a score of each model.",
    usage: "krylens correlate [<options>] --scores <file> <run> ...",
    discussion: """
      Scores come from a CSV file whose first column, model, names each model as its run does: in full, as in \
      align --name org/model. Correlations with the models' sizes alone are shown for comparison. \
      The exit status is 1 when fewer than 3 runs have a score.
      """)

  @Argument(help: ArgumentHelp("Run folders.", valueName: "run"), completion: .directory)
  var runs: [FilePath]

  @Option(
    help: ArgumentHelp(
      "A CSV file with the column model, then one column per score.", valueName: "file"))
  var scores: FilePath

  @Option(help: ArgumentHelp("The column with the scores.", valueName: "column"))
  var score = "mean_of_six"

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Also show R² over the models above this score.", valueName: "x"))
  var above: Double?

  @Option(help: "The quantity to correlate with the score.")
  private var quantity = QuantityName.coupling

  @Option(help: "Whose paths, for quantities other than coupling; others: all but the first.")
  var tokens: TrajectoryStatistic.Tokens?

  @OptionGroup var options: ReadingOptions

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if let above, !above.isFinite { throw ValidationError("--above \(above): must be a number") }
    if quantity == .coupling, tokens != nil {
      throw ValidationError(
        "--tokens applies to paths, not to coupling; leave it out, or choose another --quantity")
    }
    if tokens == .selected {
      throw ValidationError("--tokens selected: no path has that name; say last, others or first")
    }
    if quantity != .coupling, !options.isEmpty {
      throw ValidationError(
        "--kind, --rank, --sign, --normalisation and --form apply to coupling; leave them out with "
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
