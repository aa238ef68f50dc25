import Studies
import Alignment
import Analysis
import ArgumentParser

/// The options that say which coupling of a run is meant.
struct ReadingOptions: ParsableArguments {
  @Option(
    help: "Coupling: what it compares (correlate: depth unless named; compare: all a run has).")
  var kind: CouplingKind?

  @Option(
    help: ArgumentHelp(
      "Coupling: the rank (correlate: each run's largest; compare: all).", valueName: "k"))
  var rank: Int?

  @Option(help: "Coupling: entries or their magnitudes (default: as the run shows it).")
  var sign: CouplingSign?

  @Option(
    help: ArgumentHelp(
      "Coupling: frobenius or trace (default: as the run shows it).", valueName: "norm"))
  var normalisation: Normalisation?

  @Option(help: "Coupling: form (default: as the run shows it).")
  var form: CouplingForm?

  func validate() throws {
    if let rank, rank < 1 { throw ValidationError("--rank \(rank): must be at least 1") }
  }

  /// Whether none was given.
  var isEmpty: Bool {
    kind == nil && rank == nil && sign == nil && normalisation == nil && form == nil
  }

  /// The reading these options mean.
  var reading: CouplingReading {
    CouplingReading(
      kind: kind, rank: rank, sign: sign, normalisation: normalisation?.value, form: form)
  }
}
