public import LinearAlgebra
public import Weights

/// The `count` eigenvalues of largest modulus, by building A densely and calling LAPACK: the test oracle, and the
/// solver of choice where A is small or all of its eigenvalues are requested.
///
/// Cost: n applications to build, 2 · count at most to measure; memory about 4 n² doubles; time about 25 n³, on one
/// thread of OpenBLAS.
public struct DenseEigensolver: PartialEigensolver {
  /// The largest residual norm accepted, relative to |λ₁|.
  public var tolerance: Double
  /// The number of vectors per application while the matrix is built.
  public var blockSize: Int
  /// Recorded in the report only; nothing is random here.
  public var seed: UInt64

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, blockSize: Int = Engine.independentVectors, seed: UInt64 = 0
  ) {
    self.tolerance = tolerance
    self.blockSize = blockSize
    self.seed = seed
  }

  /// The `count` eigenpairs of largest modulus, 1 ≤ count ≤ n.
  ///
  /// Throws `SolverError` for an impossible request, `OperatorError` for NaN, `LAPACKError` if `dgeev` fails.
  public func eigenpairs(of a: any LinearOperator, count: Int) throws -> Eigenpairs {
    try checkTolerance(tolerance)
    try checkCount("blockSize", blockSize)
    return try solve(CheckedOperator(square: a, eigenvalues: count), count: count)
  }

  /// Solves a checked operator; other solvers call it for requests that leave nothing to iterate on.
  func solve(_ a: CheckedOperator, count: Int) throws -> Eigenpairs {
    let n = a.inputDimension
    try checkBuildable(rows: n, columns: n)
    // Row i of Aᵀ is A eᵢ.
    let matrix = try a.products(.forward, of: .identity(n), width: blockSize).transposed
    return try a.eigenpairs(
      matrix.largestModulusEigenpairs(count), solver: "dense", restarts: 0, subspaceDimension: n,
      tolerance: tolerance, seed: seed, stop: .rounding)
  }
}
