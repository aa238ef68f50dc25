public import LinearAlgebra

/// The `count` largest singular triplets by building A densely and calling LAPACK: the oracle and the baseline.
///
/// min(m, n) applications to build, 2 · count to measure; memory about 3 · m · n doubles; time O(m n min(m, n)).
public struct DenseSolver: PartialSVDSolver {
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double
  /// Vectors per application while the matrix is built.
  public var blockSize: Int
  /// Of the vectors that check the adjoint.
  public var seed: UInt64

  /// The settings.
  public init(tolerance: Double = 1e-5, blockSize: Int = 32, seed: UInt64 = 0) {
    self.tolerance = tolerance
    self.blockSize = blockSize
    self.seed = seed
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request, NaN or a wrong adjoint, `LAPACKError` if `dgesdd` fails.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    guard blockSize >= 1 else {
      throw SolverError.invalidSetting(
        name: "blockSize", value: "\(blockSize)", remedy: "choose at least 1")
    }
    return try solve(MonitoredOperator(a, count: count), count: count)
  }

  /// From this many singular values on, a decomposition takes all threads: one of 256 takes some ten milliseconds.
  private static let threadedOrder = 256

  /// Also the end of other solvers' requests that leave nothing to iterate on.
  func solve(_ a: MonitoredOperator, count: Int) throws -> SingularTriplets {
    let (m, n) = (a.outputDimension, a.inputDimension)
    let (size, overflow) = m.multipliedReportingOverflow(by: n)
    guard !overflow, size <= Int.max / 64 else {
      throw SolverError.tooLarge(rows: m, columns: n)
    }
    // Row i of Aᵀ is A eᵢ.
    var transposed = Matrix<Double>(rows: n, columns: m)
    for start in stride(from: 0, to: n, by: blockSize) {
      let b = min(blockSize, n - start)
      var units = Matrix<Double>(rows: b, columns: n)
      for i in 0..<b { units[i, start + i] = 1 }
      let part = try a.products(.forward, of: units, width: b)
      transposed.elements.replaceSubrange(start * m..<(start + b) * m, with: part.elements)
    }
    // OpenBLAS's thread count is the process's, and its sums depend on it: where threads gain nothing it stays as it
    // is, so that a small dense solve does not change the bits of another solve running beside it.
    let decompose = { () throws(LAPACKError) in try transposed.singularValueDecomposition() }
    let (right, values, left) =
      n < Self.threadedOrder ? try decompose() : try Threads.inBLAS(decompose)
    let (u, v) = (left.prefix(count), right.prefix(count))
    let w = try a.products(.forward, of: v, width: blockSize)
    let x = try a.products(.adjoint, of: u, width: blockSize)
    // The matrix holds A only; Aᵀ is heard for the first time here.
    try a.checkAdjoint(v: v, av: w, u: u, atu: x)
    var ritz = RitzTriplets(
      values: Array(values.prefix(count)), left: u, right: v, products: w)
    ritz.measure(adjointProducts: x)
    return a.triplets(
      ritz, solver: "dense", restarts: 0, subspaceDimension: n, tolerance: tolerance, seed: seed,
      stop: .rounding)
  }
}
