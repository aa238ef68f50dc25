import Analysis
import ArgumentParser
import Lanczos

/// The options that say how triplets are found.
struct SolverOptions: ParsableArguments {
  @Option(help: "The solver; dense forms the Jacobian.")
  var solver = SolverKind.auto

  @Option(
    help: ArgumentHelp(
      "The most vectors of a Jacobian that the block solver applies together (default: what is fastest on this machine).",
      valueName: "n"))
  var blockSize: Int?

  @Option(help: ArgumentHelp("Residual norms must not exceed t · σ₁.", valueName: "t"))
  var tolerance = 1e-5

  @Option(
    help:
      "Precision of states and products; auto switches from single to double where rounding keeps residual norms above the tolerance."
  )
  var precision = PrecisionMode.auto

  @Option(
    help: ArgumentHelp(
      "Whether to prove that no triplet was missed. proof: prove it, wrong with probability at most 1e-6, or at most p if a number is given; bound: prove only that no missed value exceeds 1.1 σ_K; auto: proof if it costs less than 35 % of the solve, else bound; off: neither.",
      valueName: "auto|proof|bound|off|p"))
  var certify = CertifyMode.auto

  @Option(help: ArgumentHelp("Seed of start vectors, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0

  func validate() throws {
    try solver.check()
    try validated { try solver.check(blockSize: blockSize) }
  }
}
