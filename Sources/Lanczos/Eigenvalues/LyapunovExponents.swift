public import LinearAlgebra

/// Finite-depth Lyapunov exponents of a product P = A_L ⋯ A₁ of square operators: the growth rates, per factor, of
/// the fastest growing directions.
///
///     exponentᵢ = 1/L Σ_l ln |Rᵢᵢ^l|,     A_l Q^{l−1} = Q^l R^l,
///
/// by a QR factorisation after every factor, without which all vectors would turn to the strongest direction and the
/// weaker ones would be lost to rounding. If Q⁰ spans P's leading right singular vectors, these are 1/L ln σᵢ(P) at
/// any depth. From a random Q⁰ they are too small by about (ln n)/(2 L), which is negligible for the unbounded
/// products of dynamical systems but as large as the exponents themselves for a few dozen blocks. So Q⁰ is computed
/// by sweeps back and forth, through Aᵀ and A in turn (subspace iteration for Pᵀ P, orthonormalised after every
/// factor), until the exponents no longer change; after each sweep, the exponents of the small product R^L ⋯ R¹ are
/// computed in the same way, as a Rayleigh–Ritz step.
///
/// A sweep costs one pass of 2 · count + 4 vectors through every factor. Benettin, Galgani, Giorgilli, Strelcyn, "Lyapunov
/// characteristic exponents for smooth dynamical systems", Meccanica 15, 1980.
public struct LyapunovExponents: Sendable, Equatable, Codable {
  /// The exponents, descending; −∞ where a direction is mapped to 0.
  public let values: [Double]
  /// The largest change of any exponent between the last two sweeps.
  public let change: Double
  /// Whether `change` is within the tolerance.
  public let isConverged: Bool
  /// The number of forward sweeps; there is one fewer backward.
  public let sweeps: Int
  /// The vectors and passes over all factors together.
  public let applications: ApplicationCount

  /// The exponents of A_L ⋯ A₁, given in the order of application, to within `tolerance`, in at most `sweeps` forward
  /// sweeps.
  ///
  /// `release` is called with a factor's position after each of its applications, so that its workspace can be given
  /// back. Throws `SolverError` unless all factors are square and of one order and the count is possible,
  /// `OperatorError` for NaN.
  public init(
    of factors: [any LinearOperator], count: Int, tolerance: Double = 1e-4, sweeps: Int = 30,
    seed: UInt64 = 0, release: (Int) -> Void = { _ in }
  ) throws {
    try checkTolerance(tolerance)
    try checkCount("sweeps", sweeps)
    guard let n = factors.first?.inputDimension else {
      throw SolverError.invalidSetting(
        name: "factors", value: "empty", remedy: "give at least one")
    }
    for a in factors where a.inputDimension != n || a.outputDimension != n {
      throw SolverError.notSquare(rows: a.outputDimension, columns: a.inputDimension)
    }
    guard count >= 1, count <= n else {
      throw SolverError.impossibleEigenvalueCount(count, limit: n)
    }
    let checked = factors.map { CheckedOperator($0) }
    var generator = SeededGenerator(seed: seed)
    // Take more vectors than requested: the last of them converges slowly.
    let start = generator.normalMatrix(rows: min(2 * count + 4, n), columns: n)
    var iteration = Sweeps(checked, from: start.orthonormalizedRows())
    var (values, change): ([Double], Double) = ([], .infinity)
    while true {
      let triangles = try iteration.forward(release)
      var small = Sweeps(
        triangles.map { CheckedOperator(DenseOperator($0)) }, from: .identity(start.rows))
      let found = try small.settled(tolerance: tolerance / 10, sweeps: 200).prefix(count)
      if !values.isEmpty { change = Self.largestChange(found, values[...]) }
      values = Array(found)
      guard change > tolerance, iteration.count < sweeps else { break }
      try iteration.back(release)
    }
    self.values = values
    self.change = change
    isConverged = change <= tolerance
    self.sweeps = iteration.count
    applications = checked.reduce(into: ApplicationCount()) {
      $0.jvp += $1.applications[0].jvp
      $0.vjp += $1.applications[0].vjp
      $0.passes += $1.applications[0].passes
    }
  }

  fileprivate static func largestChange(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double
  {
    zip(a, b).reduce(0) { $1.0 == $1.1 ? $0 : max($0, abs($1.0 - $1.1)) }
  }
}

/// Orthonormal rows Q that are carried through the factors and back, repeatedly.
private struct Sweeps {
  private let factors: [CheckedOperator]
  private var q: Matrix<Double>
  /// The number of forward sweeps so far.
  private(set) var count = 0

  init(_ factors: [CheckedOperator], from start: Matrix<Double>) {
    (self.factors, q) = (factors, start)
  }

  /// Carries Q through all factors, from the first to the last; returns the triangles R^l of A_l Qᵀ = Q₊ᵀ R^l.
  mutating func forward(_ release: (Int) -> Void = { _ in }) throws(OperatorError) -> [Matrix<
    Double
  >] {
    var triangles: [Matrix<Double>] = []
    for l in factors.indices {
      let y = try factors[l].products(.forward, of: q, width: q.rows)
      release(l)
      q = y.orthonormalizedRows()
      triangles.append(.product(q, .none, y, .transposed))
    }
    count += 1
    return triangles
  }

  /// Carries Q through the adjoints, from the last to the first.
  mutating func back(_ release: (Int) -> Void = { _ in }) throws(OperatorError) {
    for l in factors.indices.reversed() {
      q = try factors[l].products(.adjoint, of: q, width: q.rows).orthonormalizedRows()
      release(l)
    }
  }

  /// The mean logarithms of the triangles' diagonals, descending, once they no longer change.
  mutating func settled(tolerance: Double, sweeps: Int) throws(OperatorError) -> [Double] {
    var values: [Double] = []
    while true {
      var growth = [Double](repeating: 0, count: q.rows)
      for r in try forward() {
        for i in growth.indices { growth[i] += Double.log(abs(r[i, i])) / Double(factors.count) }
      }
      let found = growth.sorted(by: >)
      let isSettled =
        !values.isEmpty && LyapunovExponents.largestChange(found[...], values[...]) <= tolerance
      values = found
      guard !isSettled, count < sweeps else { return values }
      try back()
    }
  }
}
