import Analysis
import Alignment

/// The quantity of a run that is correlated with a score.
public enum RunQuantity: Sendable {
  /// Coupling, at the largest rank unless the reading names one.
  case coupling(CouplingReading)
  /// A number of some tokens' paths.
  case path(TrajectoryStatistic.Quantity, TrajectoryStatistic.Tokens)

  /// The quantity of one run.
  struct Measured {
    /// The mean over prompts.
    let value: PromptMean
    /// The coupling statistic, for coupling.
    let coupling: CouplingStatistic?
    /// One number per different prompt.
    let observations: [Double]

    init(_ value: PromptMean, _ coupling: CouplingStatistic?, _ run: StoredRun) {
      (self.value, self.coupling) = (value, coupling)
      observations = PromptMean.observations(value.perPrompt, run.record.prompts.firstAlike)
    }
  }

  /// The quantity of `run`. Throws `RunError.unfit` if it was not recorded.
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
            "has no such coupling; choose one that all runs have, with \(.kind), \(.rank) and \(.normalisation) ("
            + (has.isEmpty ? "it has none" : "it has \(parts.joined(separator: "; "))") + ")")
      }
      return Measured(statistic.value, statistic, run)
    case .path(let quantity, let tokens):
      let statistic = run.record.statistics.trajectory(quantity, tokens)
      return Measured(statistic?.value ?? PromptMean([]), nil, run)
    }
  }

  /// The name of the quantity.
  var name: String {
    switch self {
    case .coupling: "coupling"
    case .path(let quantity, _): quantity.rawValue
    }
  }
}
