public import LinearAlgebra

/// The `count` largest singular triplets of A, by implicitly restarted Lanczos on the smaller of AᵀA and AAᵀ.
///
/// It applies the operator to one vector at a time, twice per step, then to `count` vectors each way: a Rayleigh–Ritz
/// step that recovers the accuracy lost to squaring, and the measured residual norms. Memory: subspaceDimension ·
/// min(m, n). Inside the iteration, values below √ε · σ₁ are noise, and one vector yields one copy of a repeated
/// value. So the triplets that ARPACK calls converged are measured, refined if need be, and blocks of 8 fresh vectors
/// search for any that were missed, in some 10 further passes. For count ≥ min(m, n) − 1 `DenseSolver` answers, and
/// the report says so.
/// Lehoucq, Sorensen, Yang, *ARPACK Users' Guide*, SIAM 1998.
public struct ARPACKSolver: PartialSVDSolver {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The number of basis vectors (ncv), more than `count`; nil lets the solver choose.
  public var subspaceDimension: Int?
  /// The most restarts allowed (mxiter).
  public var restarts: Int
  /// The seed of the start vector.
  public var seed: UInt64
  /// What is to be proven about triplets that were not found.
  public var certify: CertifyMode

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, subspaceDimension: Int? = nil, restarts: Int = 300, seed: UInt64 = 0,
    certify: CertifyMode = .auto
  ) {
    self.tolerance = tolerance
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.seed = seed
    self.certify = certify
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request or a solve from inside a product, `OperatorError` for NaN or a
  /// wrong
  /// adjoint, `ARPACKError` if ARPACK fails.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    try certify.check()
    try checkCount("restarts", restarts)
    let checked = try CheckedOperator(a, count: count)
    try checked.requireWholeVectors(of: "arpack")
    guard count < checked.inputDimension - 1 else {
      return try DenseSolver(tolerance: tolerance, seed: seed).solve(checked, count: count)
    }
    let solve = try GramSolve(
      count: count, subspaceDimension: subspaceDimension, restarts: restarts,
      tolerance: tolerance, seed: seed, certify: certify, order: checked.inputDimension,
      name: "arpack")
    return try solve.triplets(of: checked)
  }
}
