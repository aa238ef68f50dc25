import Studies
import Alignment
import Analysis
import ArgumentParser

/// The options that select a coupling of a run.
struct ReadingOptions: ParsableArguments {
  @Option(
    help:
      "What coupling compares (default: depth for correlate, all kinds the runs have for compare).")
  var kind: CouplingKind?

  @Option(
    help: ArgumentHelp(
      "The rank of the coupling (default: each run's largest for correlate, all ranks for compare).",
      valueName: "k"))
  var rank: Int?

  @Option(help: "Coupling by entries or by their magnitudes (default: as the run shows it).")
  var sign: CouplingSign?

  @Option(
    help: ArgumentHelp(
      "The normalisation of coupling, frobenius or trace (default: as the run shows it).",
      valueName: "norm"))
  var normalisation: Normalisation?

  @Option(help: "The form of coupling (default: as the run shows it).")
  var form: CouplingForm?

  func validate() throws {
    if let rank, rank < 1 { throw ValidationError("--rank \(rank): must be at least 1") }
  }

  /// Whether none of the options was given.
  var isEmpty: Bool {
    kind == nil && rank == nil && sign == nil && normalisation == nil && form == nil
  }

  /// The reading that these options select.
  var reading: CouplingReading {
    CouplingReading(
      kind: kind, rank: rank, sign: sign, normalisation: normalisation?.value, form: form)
  }
}
