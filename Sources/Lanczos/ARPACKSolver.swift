public import LinearAlgebra

/// The `count` largest singular triplets of A, by implicitly restarted Lanczos on the smaller of AᵀA and AAᵀ.
///
/// One vector at a time, two applications per step, then one of `count` vectors each way: a Rayleigh–Ritz step that
/// undoes what squaring cost, and the measured residual norms. Memory subspaceDimension · min(m, n). Values below
/// √ε · σ₁ are noise inside the iteration. count ≥ min(m, n) − 1 is answered by `DenseSolver`, and the report says so.
/// Lehoucq, Sorensen, Yang, *ARPACK Users' Guide*, SIAM 1998.
public struct ARPACKSolver: PartialSVDSolver {
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double
  /// Basis vectors kept (ncv), more than `count`; nil chooses.
  public var subspaceDimension: Int?
  /// Restarts allowed (mxiter).
  public var restarts: Int
  /// Of the start vector.
  public var seed: UInt64

  /// The settings.
  public init(
    tolerance: Double = 1e-5, subspaceDimension: Int? = nil, restarts: Int = 300, seed: UInt64 = 0
  ) {
    self.tolerance = tolerance
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.seed = seed
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request, NaN, a wrong adjoint or a solve from inside a product;
  /// `ARPACKError` if ARPACK gives up.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    guard restarts >= 1 else {
      throw SolverError.invalidSetting(
        name: "restarts", value: "\(restarts)", remedy: "choose at least 1")
    }
    let operatorSeen = try MonitoredOperator(a, count: count)
    let n = operatorSeen.inputDimension
    guard count < n - 1 else {
      return try DenseSolver(tolerance: tolerance, seed: seed).solve(operatorSeen, count: count)
    }
    let dimension = min(subspaceDimension ?? max(2 * count + 1, 20), n)
    guard dimension > count else {
      throw SolverError.invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose more than the \(count) triplets asked for")
    }
    return try solve(operatorSeen, count: count, dimension: dimension)
  }

  private func solve(
    _ a: MonitoredOperator, count: Int, dimension: Int
  ) throws -> SingularTriplets {
    let (m, n) = (a.outputDimension, a.inputDimension)
    let iteration = ARPACKIteration(
      order: n, count: count, subspaceDimension: dimension, restarts: restarts,
      tolerance: tolerance, seed: seed)
    var w = [Double](repeating: 0, count: m)
    var isFirst = true
    let found = try iteration.run { v, result in
      var forward = w.mutableSpan
      try a.call(.forward, v, into: &forward, vectors: 1)
      try a.call(.adjoint, w.span, into: &result, vectors: 1)
      if isFirst {
        isFirst = false
        func row(_ x: Span<Double>) -> Matrix<Double> {
          Matrix(rows: 1, columns: x.count, elements: x.indices.map { x[$0] })
        }
        let (v, av, atav) = (row(v), row(w.span), row(result.span))
        try a.checkAdjoint(v: v, av: av, u: av, atu: atav)
      }
    }
    var ritz = try RitzTriplets(
      right: found.vectors, products: a.products(.forward, of: found.vectors, width: count))
    ritz.measure(adjointProducts: try a.products(.adjoint, of: ritz.left, width: count))
    return a.triplets(
      ritz, solver: "arpack", restarts: found.restarts, subspaceDimension: dimension,
      tolerance: tolerance, seed: seed
    ) { worst in
      found.isConverged
        ? "the iteration converged but the residual norms stay at \(worst) · σ₁, which is rounding: "
          + "raise tolerance, or use the block or dense solver (values below √ε · σ₁ are noise in AᵀA)"
        : "the \(restarts) restarts were used up with residual norms at \(worst) · σ₁: "
          + "raise restarts or subspaceDimension (now \(dimension)), or raise tolerance"
    }
  }
}
