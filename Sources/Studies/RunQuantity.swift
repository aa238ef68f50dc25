import Analysis
import Alignment

/// What of a run is held against a score.
public enum RunQuantity: Sendable {
  /// Coupling; the largest rank unless the reading names one.
  case coupling(CouplingReading)
  /// A number of the tokens' paths.
  case path(TrajectoryStatistic.Quantity, TrajectoryStatistic.Tokens)

  /// What a run has of it.
  struct Measured {
    /// Over prompts.
    let value: PromptMean
    /// The coupling itself, if it is one.
    let coupling: CouplingStatistic?
    /// The numbers of different prompts.
    let observations: [Double]

    init(_ value: PromptMean, _ coupling: CouplingStatistic?, _ run: StoredRun) {
      (self.value, self.coupling) = (value, coupling)
      observations = PromptMean.observations(value.perPrompt, run.record.prompts.firstAlike)
    }
  }

  /// What `run` has of it. Throws `RunError.badSetting` when it was not recorded.
  func measured(in run: StoredRun) throws(RunError) -> Measured {
    switch self {
    case .coupling(let reading):
      guard let statistic = reading.statistics(of: run.record).last else {
        let has = run.record.statistics.coupling
        let parts = [
          ("kind", has.map(\.kind.rawValue)), ("rank", has.map { "\($0.setting.rank)" }),
          ("normalisation", has.map(\.setting.normalisation.rawValue)),
        ].map { "\($0) " + Set($1).sorted().joined(separator: ", ") }
        throw .unfit(
          path: run.path,
          reason:
            "has no such coupling; choose with \(.kind), \(.rank) and \(.normalisation) what all runs have ("
            + (has.isEmpty ? "it has none" : "it has \(parts.joined(separator: "; "))") + ")")
      }
      return Measured(statistic.value, statistic, run)
    case .path(let quantity, let tokens):
      let statistic = run.record.statistics.trajectory(quantity, tokens)
      return Measured(statistic?.value ?? PromptMean([]), nil, run)
    }
  }

  /// What it is called: a word for a column, and more for a title.
  var name: String {
    switch self {
    case .coupling: "coupling"
    case .path(let quantity, _): quantity.rawValue
    }
  }
}
