import Analysis
import ArgumentParser
import Lanczos

/// The options that say how triplets are found.
struct SolverOptions: ParsableArguments {
  @Option(help: "What finds the triplets; dense builds the Jacobian.")
  var solver = SolverKind.auto

  @Option(help: ArgumentHelp("Residual norms are held to t · σ₁.", valueName: "t"))
  var tolerance = 1e-5

  @Option(
    help:
      "Of states and products; auto goes from single to double where rounding keeps residual norms above the tolerance."
  )
  var precision = PrecisionMode.auto

  @Option(
    help: ArgumentHelp(
      "Whether to prove that no triplet was missed: proof; bound (only that none is larger than 1.1 σ_K); auto (a proof if it costs less than 35 % of the solve, else the bound); off; or a proof that is wrong with probability p at most (otherwise 1e-6).",
      valueName: "auto|proof|bound|off|p"))
  var certify = CertifyMode.auto

  @Option(help: ArgumentHelp("Of start vectors, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0
}
