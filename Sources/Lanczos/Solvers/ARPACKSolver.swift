public import LinearAlgebra
import Weights

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
    let n = checked.inputDimension
    guard count < n - 1 else {
      return try DenseSolver(tolerance: tolerance, seed: seed).solve(checked, count: count)
    }
    let dimension = min(subspaceDimension ?? max(2 * count + 1, 20), n)
    guard dimension > count else {
      throw SolverError.invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose more than the \(count) triplets asked for")
    }
    return try solve(checked, count: count, dimension: dimension)
  }

  private func solve(
    _ a: CheckedOperator, count: Int, dimension: Int
  ) throws -> SingularTriplets {
    let (m, n) = (a.outputDimension, a.inputDimension)
    let iteration = ARPACKIteration(
      order: n, count: count, further: certify == .off ? 0 : BlockLanczosSolve.further,
      subspaceDimension: dimension, restarts: restarts,
      tolerance: tolerance, seed: seed)
    var w = Matrix<Double>(rows: 1, columns: m)
    var scale: Double?
    // G = AᵀA / scale². ARPACK treats values below ε^⅔ as zero whatever the largest is, and A may have any scale: the
    // first product sets it. Aᵀ is applied to a vector of norm about 1, not to A v itself, because squared values
    // could overflow or underflow a single precision operator. Scaling by powers of two is exact.
    let found = try iteration.run { v, result in
      var forward = w.elements.mutableSpan
      try a.apply(.forward, v, into: &forward, vectors: 1)
      let product = w
      let size = Self.powerOfTwo(below: w.rowNorms[0])
      for i in 0..<m { w.elements[i] /= size }
      try a.apply(.adjoint, w.elements.span, into: &result, vectors: 1)
      if scale == nil, product.rowNorms[0] > 0 {
        scale = size
        func row(_ x: Span<Double>) -> Matrix<Double> {
          Matrix(rows: 1, columns: x.count, elements: x.indices.map { x[$0] })
        }
        try a.checkAdjoint(v: row(v), av: product, u: w, atu: row(result.span))
      }
      let factor = size / (scale ?? 1)
      for i in result.indices { result[i] = result[i] / (scale ?? 1) * factor }
    }
    var ritz = try RitzTriplets(
      right: found.vectors,
      products: a.products(.forward, of: found.vectors, width: found.vectors.rows))
    ritz.measure(
      adjointProducts: try a.products(.adjoint, of: ritz.left, width: found.vectors.rows))
    if found.isConverged {
      let solve = try BlockLanczosSolve(
        ritz, spent: a.applications[0],
        BlockLanczosSolve.Task(
          count: count, tolerance: tolerance, subspaceDimension: min(max(256, 6 * count + 64), n),
          blockSize: 8, restartsAllowed: 100, certify: certify, seed: seed))
      try MemberError.ofOne { () throws(MemberError) in
        try BlockLanczosSolver.advance([solve], by: a, width: Engine.independentVectors)
      }
      return solve.triplets(
        of: a, solver: "arpack", remedy: "use the block solver", restarts: found.restarts,
        subspaceDimension: dimension)
    }
    return a.triplets(
      ritz.prefix(count), solver: "arpack", restarts: found.restarts, subspaceDimension: dimension,
      tolerance: tolerance, seed: seed,
      stop: .exhausted("raise restarts (now \(restarts)) or subspaceDimension (now \(dimension))"))
  }

  /// The largest power of two not above x; 1 for 0.
  private static func powerOfTwo(below x: Double) -> Double {
    x > 0 ? Double(sign: .plus, exponent: x.exponent, significand: 1) : 1
  }
}
