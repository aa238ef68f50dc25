import ComplexModule
import Lanczos
import LinearAlgebra
import RealModule
import TestSupport
import Testing

/// ‖A x − λ x‖, computed directly.
private func residualNorm(
  _ a: Matrix<Double>, _ λ: Complex<Double>, _ x: ArraySlice<Double>, _ y: ArraySlice<Double>
) -> Double {
  let vector = zip(x, y).map { Complex($0, $1) }
  let squares = (0..<a.rows).map { i -> Double in
    let product = zip(a.row(i), vector).reduce(Complex<Double>.zero) {
      $0 + $1.1.multiplied(by: $1.0)
    }
    let d = product - λ * vector[i]
    return d.real * d.real + d.imaginary * d.imaginary
  }
  return squares.reduce(0, +).squareRoot()
}

/// The largest distance between the two lists, with each wanted eigenvalue matched once.
private func largestDistance(_ found: [Complex<Double>], _ wanted: [Complex<Double>]) -> Double {
  var left = wanted
  return found.reduce(0) { worst, λ in
    guard let i = left.indices.min(by: { (left[$0] - λ).length < (left[$1] - λ).length }) else {
      return .infinity
    }
    return max(worst, (left.remove(at: i) - λ).length)
  }
}

@Suite struct EigensolverTests {
  /// The distance to an eigenvalue is bounded by the residual norm times the condition number of the eigenvectors
  /// (Bauer and Fike), which is at most a few hundred for these bases; 10⁻¹¹ is far less than the distance to another
  /// eigenvalue.
  @Test(arguments: EigensolverKind.allCases, eigenProblems)
  func findsTheChosenSpectrum(kind: EigensolverKind, problem: EigenProblem) throws {
    let a = problem.matrix()
    let found = try kind.solver(tolerance: 1e-12, seed: 2)
      .eigenpairs(of: DenseOperator(a), count: problem.count)
    let largest = problem.all[0].length
    #expect(found.values.count == problem.count)
    #expect(largestDistance(found.values, problem.all) < 1e-8 * largest)
    for (i, λ) in found.values.enumerated() {
      #expect(abs(λ.length - problem.all[i].length) < 1e-8 * largest)
    }
    #expect(found.report.requested == problem.count)
    #expect(found.report.isConverged)
  }

  @Test(arguments: EigensolverKind.allCases, eigenProblems)
  func measuresItsResiduals(kind: EigensolverKind, problem: EigenProblem) throws {
    let a = problem.matrix(seed: 7)
    let strict = StrictOperator(DenseOperator(a))
    let found = try kind.solver(tolerance: 1e-6, seed: 5)
      .eigenpairs(of: strict, count: problem.count)
    let largest = problem.all[0].length
    for i in 0..<problem.count {
      let (x, y) = (found.realParts.row(i), found.imaginaryParts.row(i))
      let norm = (x + y).reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(norm - 1) < 1e-13)
      // Sums of 60 products, rounded in another order.
      let residual = residualNorm(a, found.values[i], x, y)
      #expect(abs(residual - found.residualNorms[i]) < 1e-13 * a.frobeniusNorm)
      #expect(found.residualNorms[i] <= 1e-6 * largest)
    }
    #expect(strict.violations.isEmpty)
    #expect(strict.count == found.report.applications)
    #expect(strict.count.vjp == 0)
  }

  /// The member of a pair with the positive imaginary part comes first, the other follows, and only the last may be
  /// missing.
  @Test(arguments: EigensolverKind.allCases, eigenProblems)
  func pairsStandTogether(kind: EigensolverKind, problem: EigenProblem) throws {
    let found = try kind.solver(tolerance: 1e-9)
      .eigenpairs(of: DenseOperator(problem.matrix()), count: problem.count)
    var i = 0
    while i < found.values.count {
      guard found.values[i].imaginary != 0 else {
        #expect(found.imaginaryParts.row(i).allSatisfy { $0 == 0 })
        i += 1
        continue
      }
      #expect(found.values[i].imaginary > 0)
      if i + 1 < found.values.count {
        #expect(found.values[i + 1] == found.values[i].conjugate)
        #expect(found.realParts.row(i + 1).elementsEqual(found.realParts.row(i)))
        #expect(
          found.imaginaryParts.row(i + 1).elementsEqual(found.imaginaryParts.row(i).map { -$0 }))
        #expect(found.residualNorms[i + 1] == found.residualNorms[i])
      }
      i += 2
    }
  }

  /// A rotation by the same angle in every plane has one pair, which one start vector spans at once. Both solvers
  /// return what there is, with modulus 1.
  @Test(arguments: EigensolverKind.allCases)
  func rotationHasItsAngle(kind: EigensolverKind) throws {
    let problem = EigenProblem(
      "rotation", (0..<20).map { _ in Complex(length: 1, phase: 0.4) }, count: 4)
    let found = try kind.solver(tolerance: 1e-9)
      .eigenpairs(of: DenseOperator(problem.matrix()), count: 4)
    for λ in found.values {
      #expect(abs(λ.length - 1) < 1e-9)
      #expect(abs(abs(λ.phase) - 0.4) < 1e-9)
    }
    #expect(found.residualNorms.allSatisfy { $0 < 1e-9 })
  }

  /// A Jordan block's eigenvalue is defective, and accurate only to the n-th root of rounding; the residual is small
  /// all the same, and only the residual is guaranteed.
  @Test(arguments: EigensolverKind.allCases)
  func defectiveEigenvaluesHaveSmallResiduals(kind: EigensolverKind) throws {
    let n = 30
    var a = Matrix<Double>(rows: n, columns: n)
    for i in 0..<n { a[i, i] = i < 3 ? 2 : 0.5 / Double(i) }
    (a[0, 1], a[1, 2]) = (1, 1)
    let found = try kind.solver(tolerance: 1e-9).eigenpairs(of: DenseOperator(a), count: 3)
    #expect(found.report.isConverged)
    // (10⁻¹⁶)^⅓, with a margin.
    for λ in found.values { #expect((λ - Complex(2, 0)).length < 1e-3) }
  }

  @Test(arguments: EigensolverKind.allCases)
  func zeroAndIdentityAreAnswered(kind: EigensolverKind) throws {
    let zero = DenseOperator(Matrix(rows: 20, columns: 20))
    let none = try kind.solver().eigenpairs(of: zero, count: 3)
    #expect(none.values.allSatisfy { $0.length == 0 } && none.report.isConverged)
    let one = try kind.solver().eigenpairs(of: DenseOperator(.identity(20)), count: 3)
    #expect(one.values.allSatisfy { ($0 - 1).length < 1e-12 } && one.report.isConverged)
  }

  @Test func arpackAndLAPACKAgree() throws {
    for problem in eigenProblems {
      let a = DenseOperator(problem.matrix(seed: 11))
      let found = try ARPACKEigensolver(tolerance: 1e-12).eigenpairs(of: a, count: problem.count)
      let oracle = try DenseEigensolver(tolerance: 1e-9).eigenpairs(of: a, count: a.inputDimension)
      #expect(largestDistance(found.values, oracle.values) < 1e-8 * oracle.values[0].length)
    }
  }

  @Test func theSameSeedGivesTheSameBits() throws {
    let a = DenseOperator(eigenProblems[4].matrix())
    let solver = ARPACKEigensolver(seed: 9)
    let first = try solver.eigenpairs(of: a, count: 4)
    _ = try ARPACKEigensolver(seed: 1).eigenpairs(of: a, count: 4)
    _ = try ARPACKSolver(seed: 1).partialSVD(of: a, count: 4)
    let second = try solver.eigenpairs(of: a, count: 4)
    #expect(first.values == second.values && first.realParts == second.realParts)
    #expect(first.residualNorms == second.residualNorms)
  }

  @Test func inSinglePrecisionTheDefaultToleranceIsReached() throws {
    let problem = eigenProblems[5]
    let a = SinglePrecisionOperator(DenseOperator(problem.matrix()))
    let found = try ARPACKEigensolver().eigenpairs(of: a, count: problem.count)
    #expect(found.report.isConverged)
    // Bauer and Fike, with the condition number of the eigenvectors as above.
    #expect(largestDistance(found.values, problem.all) < 1e-3 * problem.all[0].length)
  }

  @Test func aStopNamesItsSettings() throws {
    let slow = EigenProblem("slow", real: (0..<200).map { 1 - 0.001 * Double($0) }, count: 5)
    let found = try ARPACKEigensolver(tolerance: 1e-10, subspaceDimension: 8, restarts: 2)
      .eigenpairs(of: DenseOperator(slow.matrix()), count: 5)
    guard case .stopped(let stop) = found.report.outcome else {
      Issue.record("converged in two restarts")
      return
    }
    #expect(stop.reason == .exhausted && stop.remedy.contains("subspaceDimension"))
    #expect(stop.description.contains("|λ₁|"))
    #expect(found.values.count == 5 && found.report.converged < 5)
  }

  @Test func impossibleRequestsAreRefused() {
    let wide = DenseOperator(Matrix(rows: 3, columns: 4))
    let square = DenseOperator(Matrix(rows: 4, columns: 4))
    for kind in EigensolverKind.allCases {
      #expect(throws: SolverError.notSquare(rows: 3, columns: 4)) {
        try kind.solver().eigenpairs(of: wide, count: 1)
      }
      for count in [0, 5] {
        #expect(throws: SolverError.impossibleEigenvalueCount(count, limit: 4)) {
          try kind.solver().eigenpairs(of: square, count: count)
        }
      }
      #expect(throws: OperatorError.self) {
        try kind.solver().eigenpairs(
          of: DenseOperator(Matrix(rows: 40, columns: 40, repeating: .nan)), count: 2)
      }
    }
    #expect(throws: SolverError.self) {
      try ARPACKEigensolver(subspaceDimension: 6).eigenpairs(
        of: DenseOperator(Matrix(rows: 40, columns: 40)), count: 5)
    }
  }
}
