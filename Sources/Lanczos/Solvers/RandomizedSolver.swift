public import LinearAlgebra

/// The `count` largest singular triplets by randomized block Krylov iteration with a block wider than `count`.
///
/// The space is a random block of count + oversampling vectors and everything that A and Aᵀ make of it, without
/// restarts, built as in `BlockLanczosSolver`. It takes the fewest passes of all solvers, and the widest; values
/// repeated up to count + oversampling times are all found. Memory: at most 2 · iterations · (count + oversampling)
/// vectors.
/// Musco and Musco, "Randomized block Krylov methods for stronger and faster approximate singular value
/// decomposition", NeurIPS 2015.
public struct RandomizedSolver: PartialSVDSolver {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The number of vectors in the block beyond `count`.
  public var oversampling: Int
  /// The most blocks in the right basis: applications of AᵀA, plus one.
  public var iterations: Int
  /// The seed of the random block.
  public var seed: UInt64
  /// What is to be proven about triplets that were not found.
  public var certify: CertifyMode

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, oversampling: Int = 10, iterations: Int = 50, seed: UInt64 = 0,
    certify: CertifyMode = .auto
  ) {
    self.tolerance = tolerance
    self.oversampling = oversampling
    self.iterations = iterations
    self.seed = seed
    self.certify = certify
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request or setting, `OperatorError` for NaN or a wrong adjoint.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    try certify.check()
    for (name, value, least) in [("oversampling", oversampling, 0), ("iterations", iterations, 2)] {
      try checkCount(name, value, atLeast: least)
    }
    let checked = try CheckedOperator(a, count: count)
    let n = checked.inputDimension
    let block = min(count, n) + min(oversampling, n - count)
    let (vectors, overflow) = block.multipliedReportingOverflow(by: iterations)
    return try MemberError.ofOne { () throws(MemberError) in
      try BlockLanczosSolver(
        tolerance: tolerance, restarts: 0, seed: seed, certify: certify
      ).run(
        checked, count: count, blockSize: block,
        subspaceDimension: overflow ? n : min(vectors, n), width: block, solver: "randomized",
        remedy: "raise iterations (now \(iterations)) or oversampling (now \(oversampling))")[0]
    }
  }
}
