import Analysis
import Alignment

/// The correlation of runs with a column of scores: which runs take part, warnings about them, and the statistics.
///
/// A run is matched to a score by its model's name. Runs whose couplings are not comparable are refused, and so are two runs
/// of one model, since they are not independent points.
public struct CorrelationStudy: Encodable, Sendable {
  /// The quantity, in words.
  public let quantity: String
  /// The column of scores.
  public let score: String
  /// One per run, in the order given.
  public let models: [StudiedModel]
  /// Warnings that qualify the statistics.
  public let warnings: [String]
  /// The statistics of the models that take part; null for fewer than 3.
  @Nullable public var statistics: ScoreCorrelation?

  /// The fewest models for a correlation: two points always lie on a line.
  public static let fewest = 3

  /// Correlates `quantity` with the scores, and separately for the models above `threshold`, if given.
  ///
  /// Throws `RunError` if a run lacks the quantity, is given twice, is of the same model as another, or has settings under
  /// which the quantity is not comparable with that of the others.
  public init(
    _ runs: [StoredRun], _ quantity: RunQuantity, scores: ScoreColumn,
    above threshold: Double? = nil
  ) throws {
    try Self.refuseRepeated(runs)
    var measured: [RunQuantity.Measured] = []
    for run in runs { measured.append(try quantity.measured(in: run)) }
    if case .coupling = quantity { try Self.refuseOtherMeanings(runs, measured) }
    models = zip(runs, measured).map { StudiedModel($0, $1, scores) }
    try Self.refuseOneModelTwice(Array(zip(runs, models)))
    self.quantity = Self.title(quantity, runs, measured)
    score = scores.name
    warnings = try Self.warnings(runs, measured, models)
    let points = zip(models, measured).compactMap { $0.point($1.observations) }
    statistics = points.count < Self.fewest ? nil : ScoreCorrelation(points, above: threshold)
  }

  private static func title(
    _ quantity: RunQuantity, _ runs: [StoredRun], _ measured: [RunQuantity.Measured]
  ) -> String {
    if case .path(_, let tokens) = quantity {
      return "\(quantity.name) (tokens: \(tokens.rawValue))"
    }
    guard let coupling = measured.first?.coupling, let s = runs.first?.record.settings
    else { return quantity.name }
    return "coupling (\(coupling.reading); diagonal \(coupling.diagonal.rawValue), "
      + "site \(s.site.rawValue), last \(s.last.rawValue))"
  }

  // MARK: Checks

  private static func refuseRepeated(_ runs: [StoredRun]) throws(RunError) {
    var seen: Set<String> = []
    for run in runs where !seen.insert(run.resolvedPath).inserted {
      throw .unfit(path: run.path, reason: "is given twice; give each run once")
    }
  }

  /// Refuses two runs of one model, whatever their names, and two models with the same score entry: they are not independent.
  private static func refuseOneModelTwice(
    _ runs: [(run: StoredRun, model: StudiedModel)]
  ) throws(RunError) {
    let used = runs.filter { $0.model.standing == .used }
    for (i, (run, model)) in used.enumerated() {
      for other in used[..<i] {
        let isSame = run.record.weights == other.run.record.weights
        guard isSame || model.listedAs == other.model.listedAs else { continue }
        let reason =
          isSame
          ? "the same weights"
          : "both use the score of \(model.listedAs ?? model.model)"
        throw .unfit(
          path: run.path,
          reason: "is of the same model as \(other.run.path) (\(reason)), but a model counts once; "
            + "leave one of the two out")
      }
    }
  }

  /// Refuses runs whose couplings are not comparable. Ranks may differ if all are the same share of the width, which
  /// `warnings` then mentions.
  private static func refuseOtherMeanings(
    _ runs: [StoredRun], _ measured: [RunQuantity.Measured]
  ) throws {
    let names = runs.map(\.path)
    var differences = try RecordDifference.all(measured.compactMap { $0.coupling?.setting })
    let shares = Set(runs.map(\.record.settings.rankShare))
    if shares.count == 1, shares != [nil] { differences.removeAll { $0.key == "rank" } }
    differences += try RecordDifference.all(
      measured.compactMap { $0.coupling.map { ["diagonal": $0.diagonal] } })
    differences += try RecordDifference.all(runs.map(\.record.settings.numeric.quantity))
    guard !differences.isEmpty else { return }
    let list = differences.map { $0.description(names) }.joined(separator: "; ")
    throw RunError.badSetting(
      .runs,
      reason:
        "the runs' couplings are not comparable (\(list)); choose one reading with \(.rank), "
        + "\(.sign), \(.normalisation) and \(.form), and study runs with other settings "
        + "separately")
  }

  // MARK: Warnings

  private static func warnings(
    _ runs: [StoredRun], _ measured: [RunQuantity.Measured], _ models: [StudiedModel]
  ) throws -> [String] {
    let names = runs.map(\.path)
    let named = { (isNamed: (RunRecord) -> Bool) in
      runs.filter { isNamed($0.record) }.map(\.path)
    }
    var warnings: [String] = []
    let warn = { (paths: [String], text: String) in
      if !paths.isEmpty { warnings.append("\(text): \(listed(paths))") }
    }
    warn(named { !$0.complete }, "not finished, so with fewer prompts than requested")
    warn(
      named { $0.prompts.contains { $0.failed != nil } },
      "some prompts failed, so with fewer than requested")
    warn(
      named { Set($0.prompts.firstAlike).count < $0.prompts.count },
      "prompts given more than once, which count once")
    let used = models.filter { $0.standing == .used }
    for m in used {
      guard let name = m.listedAs, name != m.model else { continue }
      warn([m.run], "\(m.model) uses the score of \(name)")
    }
    warn(
      zip(names, runs).filter { path, run in
        run.record.settings.randomInit && used.contains { $0.run == path }
      }.map(\.0), "random weights, with the score listed under their name")
    if measured.contains(where: { $0.coupling != nil }) {
      warn(
        named { $0.settings.rankShare != nil },
        "K is a share of the width, so the null level changes with the width by itself; "
          + "compare coupling with it")
      warn(
        zip(names, measured).filter { $1.coupling?.setting.normalisation == .trace }.map(\.0),
        "with trace normalisation the null level changes with K, and with the width if K does; "
          + "compare coupling with it")
    }
    for difference in try RecordDifference.all(runs.map(\.record.settings.numeric.scope)) {
      warnings.append("settings differ: \(difference.description(names))")
    }
    if Set(runs.map { $0.record.prompts.map(\.given) }).count > 1 {
      warnings.append(
        "the runs have different prompts, which adds to the differences between models")
    }
    warn(
      zip(names, zip(models, measured)).filter {
        $1.0.standing == .used && $1.1.observations.count == 1
      }
      .map(\.0),
      "with only one prompt, so they add nothing to the interval over prompts")
    return warnings
  }
}

extension RunRecord {
  /// What identifies the weights: the fingerprint, and for random ones the seed.
  fileprivate var weights: [String] {
    [model.fingerprint] + (settings.randomInit ? ["\(settings.seed)"] : [])
  }
}
