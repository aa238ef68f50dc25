public import LinearAlgebra
public import Weights

/// The `count` largest singular triplets, by building A densely and calling LAPACK: the test oracle and the baseline.
///
/// Cost: min(m, n) applications to build, 2 · count to measure; memory about 3 · m · n doubles; time O(m n min(m,
/// n)), on one thread of OpenBLAS. LAPACK's choice of signs is not kept: the largest entry of every vᵢ is made
/// positive.
public struct DenseSolver: PartialSVDSolver {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The number of vectors per application while the matrix is built.
  public var blockSize: Int
  /// The seed of the vectors that check the adjoint.
  public var seed: UInt64
  /// What is to be proven about triplets that were not found.
  public var certify: CertifyMode

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, blockSize: Int = Engine.independentVectors, seed: UInt64 = 0,
    certify: CertifyMode = .auto
  ) {
    self.tolerance = tolerance
    self.blockSize = blockSize
    self.seed = seed
    self.certify = certify
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request, `OperatorError` for NaN or a wrong adjoint, `LAPACKError` if LAPACK
  /// fails.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    try certify.check()
    try checkCount("blockSize", blockSize)
    let checked = try CheckedOperator(a, count: count)
    try checked.requireWholeVectors(of: "dense")
    return try solve(checked, count: count)
  }

  /// Solves a checked operator; other solvers call it for requests that leave nothing to iterate on.
  func solve(_ a: CheckedOperator, count: Int) throws -> SingularTriplets {
    let (m, n) = (a.outputDimension, a.inputDimension)
    try checkBuildable(rows: m, columns: n)
    // Row i of Aᵀ is A eᵢ.
    let transposed = try a.products(.forward, of: .identity(n), width: blockSize)
    let (right, values, left) = try transposed.singularValueDecomposition()
    let all = certify == .off ? count : deflated(values, count: count)
    let (u, v) = Self.withPositivePeaks(
      left.prefix(all), right.prefix(all), isTransposed: a.isTransposed)
    let w = try a.products(.forward, of: v, width: blockSize)
    let x = try a.products(.adjoint, of: u, width: blockSize)
    // The matrix was built from A alone; Aᵀ is applied here for the first time.
    try a.checkAdjoint(v: v, av: w, u: u, atu: x)
    var ritz = RitzTriplets(
      values: Array(values.prefix(all)), left: u, right: v, products: w)
    ritz.measure(adjointProducts: x)
    return a.triplets(
      ritz, count: count,
      certificate: certify == .off ? nil : certificate(ritz, values, count: count),
      solver: "dense", restarts: 0, subspaceDimension: n, tolerance: tolerance, seed: seed,
      stop: .rounding)
  }

  /// The number of triplets to lock: those requested, the rest of a cluster at the cut, and some more.
  private func deflated(_ values: [Double], count: Int) -> Int {
    let cluster = ClusterAtCut(
      values, count: count, residualNorm: 0, tolerance: tolerance, limit: values.count)
    return min(values.count, cluster.end(values) + BlockLanczosSolver.further)
  }

  /// The certificate: all of the operator is known, so the next value is the norm of the rest.
  private func certificate(
    _ found: RitzTriplets, _ values: [Double], count: Int
  ) -> Certificate {
    let all = found.values.count
    let outside = all < values.count ? values[all] : 0
    let residualNorm = found.residualNorm(all)
    return Certificate(
      outside: outside, failureProbability: 0, deflated: all, residualNorm: residualNorm,
      isProof: outside + residualNorm <= values[count - 1])
  }

  /// The same left and right vectors, each pair with the sign that makes the largest entry of v positive (of u if U and V are
  /// to be swapped). Of entries within a hundredth of the largest the first counts, so that rounding does not choose
  /// among entries of equal size.
  private static func withPositivePeaks(
    _ left: Matrix<Double>, _ right: Matrix<Double>, isTransposed: Bool
  ) -> (left: Matrix<Double>, right: Matrix<Double>) {
    var (u, v) = (left, right)
    for i in 0..<v.rows {
      let row = isTransposed ? u.row(i) : v.row(i)
      let peak = row.reduce(0) { max($0, abs($1)) }
      guard let first = row.first(where: { abs($0) >= 0.99 * peak }), first < 0 else { continue }
      for j in 0..<v.columns { v[i, j].negate() }
      for j in 0..<u.columns { u[i, j].negate() }
    }
    return (u, v)
  }
}
