public import LinearAlgebra

/// The `count` eigenvalues of largest modulus of A, by implicitly restarted Arnoldi iteration.
///
/// It applies A to one vector per step, then to all eigenvectors at once to measure the residual norms. Memory:
/// subspaceDimension · n. An eigenvalue with several independent eigenvectors may be found fewer times than it
/// occurs: one start vector contains only one of them, and the others enter through rounding. For count ≥ n − 2
/// `DenseEigensolver` answers, and the report says so.
/// Lehoucq, Sorensen, Yang, *ARPACK Users' Guide*, SIAM 1998.
public struct ARPACKEigensolver: PartialEigensolver {
  /// The largest residual norm accepted, relative to |λ₁|.
  public var tolerance: Double
  /// The number of basis vectors (ncv), at least count + 2; nil lets the solver choose.
  public var subspaceDimension: Int?
  /// The most restarts allowed (mxiter).
  public var restarts: Int
  /// The seed of the start vector.
  public var seed: UInt64

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, subspaceDimension: Int? = nil, restarts: Int = 300, seed: UInt64 = 0
  ) {
    self.tolerance = tolerance
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.seed = seed
  }

  /// The `count` eigenpairs of largest modulus, 1 ≤ count ≤ n.
  ///
  /// Throws `SolverError` for an impossible request or a solve from inside a product, `OperatorError` for NaN,
  /// `ARPACKError` if ARPACK fails.
  public func eigenpairs(of a: any LinearOperator, count: Int) throws -> Eigenpairs {
    try checkTolerance(tolerance)
    try checkCount("restarts", restarts)
    let checked = try CheckedOperator(square: a, eigenvalues: count)
    let n = checked.inputDimension
    guard count < n - 2 else {
      return try DenseEigensolver(tolerance: tolerance, seed: seed).solve(checked, count: count)
    }
    let dimension = min(subspaceDimension ?? Self.dimension(for: count), n)
    guard dimension >= count + 2 else {
      throw SolverError.invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose at least \(count + 2): the eigenvalues asked for and two more")
    }
    return try solve(checked, count: count, dimension: dimension)
  }

  /// The default number of basis vectors for `count` eigenvalues: a product costs more than orthogonalising against a
  /// few dozen vectors.
  package static func dimension(for count: Int) -> Int { max(4 * count, 40) }

  private func solve(_ a: CheckedOperator, count: Int, dimension: Int) throws -> Eigenpairs {
    let iteration = ArnoldiIteration(
      order: a.inputDimension, count: count, subspaceDimension: dimension, restarts: restarts,
      tolerance: tolerance, seed: seed)
    // Iterate with A / scale: ARPACK treats values below ε^⅔ as zero whatever the largest is, and A may have any
    // scale. Dividing by a power of two is exact.
    var scale: Double?
    let found = try iteration.run { v, result in
      try a.apply(.forward, v, into: &result, vectors: 1)
      let divisor = scale ?? Self.powerOfTwo(over: v, result.span)
      if divisor != 1 { for i in result.indices { result[i] /= divisor } }
      if scale == nil, result.span.indices.contains(where: { result[$0] != 0 }) { scale = divisor }
    }
    var pairs = found.pairs
    if let scale { pairs.values = pairs.values.map { $0.multiplied(by: scale) } }
    return try a.eigenpairs(
      pairs, solver: "arpack", restarts: found.restarts, subspaceDimension: dimension,
      tolerance: tolerance, seed: seed,
      stop: found.isConverged
        ? .rounding
        : .exhausted("raise restarts (now \(restarts)) or subspaceDimension (now \(dimension))"))
  }

  /// ‖A v‖ / ‖v‖ rounded down to a power of two; 1 if it is 0 or not finite.
  private static func powerOfTwo(over v: Span<Double>, _ product: Span<Double>) -> Double {
    func norm(_ x: Span<Double>) -> Double {
      let row = Matrix(rows: 1, columns: x.count, elements: x.indices.map { x[$0] })
      return row.frobeniusNorm
    }
    let size = norm(product) / norm(v)
    return size > 0 && size.isFinite
      ? Double(sign: .plus, exponent: size.exponent, significand: 1) : 1
  }
}
