public import LinearAlgebra

/// Finds the eigenvalues of largest modulus of a real square operator; a conforming type's stored properties are its
/// settings.
public protocol PartialEigensolver: Sendable {
  /// The `count` eigenpairs of largest modulus of A, 1 ≤ count ≤ n, in descending order of |λ|, with measured
  /// residual norms.
  ///
  /// Stopping early is a result (`report.outcome`), not an error; an impossible request or NaN throws. Only A is
  /// applied, never Aᵀ.
  func eigenpairs(of a: any LinearOperator, count: Int) throws -> Eigenpairs
}

/// The eigensolvers, by the names that options and records use.
public enum EigensolverKind: String, CaseIterable, Sendable, Codable {
  /// The cheaper one, see `chosen(for:width:)`.
  case auto
  /// `ARPACKEigensolver`.
  case arpack
  /// `DenseEigensolver`.
  case dense

  /// The solver used for `count` eigenvalues of an operator of order `width`: what `auto` stands for, and otherwise
  /// `self`.
  ///
  /// All eigenvalues of a small matrix cost less than a few found by iteration: its columns are built many per
  /// product, while the iteration applies A to one vector at a time.
  public func chosen(for count: Int, width: Int) -> EigensolverKind {
    if count >= width - 2 { return .dense }
    guard self == .auto else { return self }
    return width <= 256 || (width <= 1024 && 4 * count > width) ? .dense : .arpack
  }

  /// The solver with its other settings at their defaults.
  public func solver(tolerance: Double = 1e-5, seed: UInt64 = 0) -> any PartialEigensolver {
    switch self {
    case .auto, .arpack: ARPACKEigensolver(tolerance: tolerance, seed: seed)
    case .dense: DenseEigensolver(tolerance: tolerance, seed: seed)
    }
  }
}

extension CheckedOperator {
  /// A square operator that has at least `count` eigenvalues. Throws `SolverError`.
  convenience init(square a: any LinearOperator, eigenvalues count: Int) throws(SolverError) {
    guard a.inputDimension == a.outputDimension else {
      throw .notSquare(rows: a.outputDimension, columns: a.inputDimension)
    }
    guard count >= 1, count <= a.inputDimension else {
      throw .impossibleEigenvalueCount(count, limit: a.inputDimension)
    }
    self.init(a)
  }

  /// The answer: `pairs`, scaled to norm 1 and measured with one product per vector, and their report.
  ///
  /// `stop` gives the cause to report if some residual norm exceeds tolerance · |λ₁|.
  func eigenpairs(
    _ pairs: DenseEigenpairs, solver: String, restarts: Int, subspaceDimension: Int,
    tolerance: Double, seed: UInt64, stop: StopCause
  ) throws(OperatorError) -> Eigenpairs {
    let (count, n) = (pairs.values.count, inputDimension)
    var (a, b) = (pairs.realParts, pairs.imaginaryParts)
    for i in 0..<count {
      let row = i * n..<(i + 1) * n
      let norm = row.reduce(0) {
        $0 + a.elements[$1] * a.elements[$1] + b.elements[$1] * b.elements[$1]
      }.squareRoot()
      guard norm > 0 else { continue }
      for j in row {
        a.elements[j] /= norm
        b.elements[j] /= norm
      }
    }
    // The second of a conjugate pair has the conjugate of the first one's residual.
    let isSecond = (0..<count).map {
      $0 > 0 && pairs.values[$0].imaginary < 0 && pairs.values[$0 - 1] == pairs.values[$0].conjugate
    }
    let measured = (0..<count).filter { !isSecond[$0] }
    let complex = measured.filter { pairs.values[$0].imaginary != 0 }
    let vectors = Matrix(
      rows: measured.count + complex.count, columns: n,
      elements: measured.flatMap { a.row($0) } + complex.flatMap { b.row($0) })
    let products = try self.products(.forward, of: vectors, width: max(1, min(count, 16)))
    var residuals = [Double](repeating: 0, count: count)
    for (place, i) in measured.enumerated() {
      let λ = pairs.values[i]
      let second = complex.firstIndex(of: i).map { products.row(measured.count + $0) }
      let (x, y) = (Array(a.row(i)), Array(b.row(i)))
      var sum = 0.0
      for (j, product) in products.row(place).enumerated() {
        let real = product - (λ.real * x[j] - λ.imaginary * y[j])
        sum += real * real
        guard let second else { continue }
        let imaginary = second[second.startIndex + j] - (λ.real * y[j] + λ.imaginary * x[j])
        sum += imaginary * imaginary
      }
      residuals[i] = sum.squareRoot()
    }
    for i in 0..<count where isSecond[i] { residuals[i] = residuals[i - 1] }
    let largest = pairs.values.first?.length ?? 0
    let converged = residuals.count { $0 <= tolerance * largest }
    let worst = residuals.max() ?? 0
    return Eigenpairs(
      values: pairs.values, realParts: a, imaginaryParts: b, residualNorms: residuals,
      report: ConvergenceReport(
        outcome: converged == count
          ? .converged
          : .stopped(
            Stop(
              stop.reason, residual: worst / (largest > 0 ? largest : 1), remedy: stop.remedy,
              unit: "|λ₁|")),
        solver: solver, requested: count, converged: converged, restarts: restarts,
        applications: applications[0], subspaceDimension: subspaceDimension, tolerance: tolerance,
        seed: seed))
  }
}
