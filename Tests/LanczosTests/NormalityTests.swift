import ComplexModule
import Lanczos
import LinearAlgebra
import RealModule
import TestSupport
import Testing

/// ‖AᵀA − AAᵀ‖_F / ‖A‖_F², computed by the formula.
private func departure(_ a: Matrix<Double>) -> Double {
  let commutator = a.gram(.transposed) - a.gram()
  return commutator.frobeniusNorm / (a.frobeniusNorm * a.frobeniusNorm)
}

@Suite struct NormalityTests {
  private func random(_ n: Int, seed: UInt64) -> Matrix<Double> {
    var generator = SeededGenerator(seed: seed)
    return generator.normalMatrix(rows: n, columns: n)
  }

  /// In few dimensions all unit vectors are used.
  @Test(arguments: [1, 5, 40, 64])
  func smallOperatorsAreMeasuredExactly(order: Int) throws {
    let a = random(order, seed: UInt64(order))
    let found = try DepartureFromNormality(of: DenseOperator(a))
    #expect(abs(found.value - departure(a)) < 1e-12)
    #expect(abs(found.frobeniusNorm - a.frobeniusNorm) < 1e-12 * a.frobeniusNorm)
    #expect(found.standardError == 0 && found.frobeniusError == 0)
  }

  /// Gaussian matrices are the worst case, in which no few directions contain most of the norm; the other spectra
  /// decay like those of Jacobians. Six standard errors are exceeded by chance in one of 10⁸ tests.
  @Test(arguments: [100, 200], [1, 2, 3] as [UInt64])
  func largeOnesAreEstimated(order: Int, seed: UInt64) throws {
    let spectrum = (0..<order).map { 56 * Double.pow(Double($0 + 1), -0.6) }
    let decaying = operatorWithSpectrum(spectrum, rows: order, columns: order, seed: seed)
    for a in [random(order, seed: seed), decaying.matrix] {
      // Another seed, since the matrices are drawn from the same generator.
      let found = try DepartureFromNormality(of: DenseOperator(a), seed: seed + 100)
      #expect(found.standardError > 0 && found.standardError < 0.15 * found.value)
      #expect(abs(found.value - departure(a)) < 6 * found.standardError)
      #expect(abs(found.frobeniusNorm - a.frobeniusNorm) < 6 * found.frobeniusError)
      // 6 m products each way.
      #expect(found.applications.jvp == 96 && found.applications.vjp == 96)
    }
  }

  @Test func normalMatricesDoNotDepart() throws {
    for problem in eigenProblems where problem.skew == 0 && problem.all.count > 5 {
      let found = try DepartureFromNormality(of: DenseOperator(problem.matrix()))
      #expect(found.value < 1e-12)
    }
  }

  /// A = u vᵀ with u ⟂ v: all eigenvalues are 0, so the departure is the whole norm.
  @Test func nilpotentMatricesDepartMost() throws {
    var a = Matrix<Double>(rows: 90, columns: 90)
    a[3, 70] = 7
    let found = try DepartureFromNormality(of: DenseOperator(a))
    // C has two directions, u and v, which the sketch contains.
    #expect(abs(found.value - 2.0.squareRoot()) < 1e-9)
    #expect(abs(found.henriciBound - 1) < 1e-4)
  }

  /// For matrices with chosen eigenvalues, Henrici's departure is at least its bound.
  @Test(arguments: eigenProblems)
  func theBoundHolds(problem: EigenProblem) throws {
    let a = problem.matrix()
    let norm = a.frobeniusNorm
    let squares = problem.all.reduce(0) { $0 + ($1.length / norm) * ($1.length / norm) }
    let found = try DepartureFromNormality(of: DenseOperator(a), probes: 30)
    #expect(found.henriciBound <= (max(0, 1 - squares)).squareRoot() + 1e-6)
  }

  @Test func aShiftChangesTheNormAlone() throws {
    let a = random(50, seed: 4)
    let shifted = try DepartureFromNormality(of: DenseOperator(a).shifted(by: 3))
    let plain = try DepartureFromNormality(of: DenseOperator(a))
    let commutators = [shifted, plain].map { $0.value * $0.frobeniusNorm * $0.frobeniusNorm }
    #expect(abs(commutators[0] - commutators[1]) < 1e-9 * commutators[1])
  }

  @Test func whatIsNotSquareIsRefused() {
    #expect(throws: SolverError.notSquare(rows: 3, columns: 4)) {
      try DepartureFromNormality(of: DenseOperator(Matrix(rows: 3, columns: 4)))
    }
  }
}

@Suite struct LyapunovTests {
  private func factors(_ count: Int, order n: Int, scale: Double = 1) -> [Matrix<Double>] {
    (0..<count).map { l in
      var generator = SeededGenerator(seed: UInt64(100 + l))
      var a = generator.normalMatrix(rows: n, columns: n)
      for i in a.elements.indices { a.elements[i] *= scale / Double(n).squareRoot() }
      for i in 0..<n { a[i, i] += 1 }
      return a
    }
  }

  /// 1/L ln σᵢ of the product, where the product can still be formed.
  @Test(arguments: [1, 3, 8])
  func areTheSingularValuesOfTheProduct(depth: Int) throws {
    let factors = factors(depth, order: 24, scale: 0.8)
    let product = factors.reduce(.identity(24)) { Matrix.product($1, .none, $0) }
    let wanted = try product.singularValueDecomposition().values.prefix(5)
      .map { Double.log($0) / Double(depth) }
    let found = try LyapunovExponents(
      of: factors.map { DenseOperator($0) }, count: 5, tolerance: 1e-10, sweeps: 500)
    #expect(found.isConverged)
    // The last change divided by one minus the rate of convergence; a tenth is left for the small product.
    for (a, b) in zip(found.values, wanted) { #expect(abs(a - b) < 1e-8) }
  }

  /// The sum of all exponents is the growth of volume, 1/L ln |det P|, at any depth. Here σ₁ / σₙ is 10⁴⁰.
  @Test func deepProductsLoseNothing() throws {
    let growth = [1.5, 1.1, 0.8, 0.5, 0.2]
    var generator = SeededGenerator(seed: 5)
    var frame = generator.normalMatrix(rows: 5, columns: 5).orthonormalizedRows()
    var operators: [DenseOperator] = []
    for _ in 0..<46 {
      let next = generator.normalMatrix(rows: 5, columns: 5).orthonormalizedRows()
      var scaled = next
      for i in 0..<5 { for j in 0..<5 { scaled[i, j] *= growth[i] } }
      operators.append(DenseOperator(.product(scaled, .transposed, frame)))
      frame = next
    }
    let found = try LyapunovExponents(of: operators, count: 5, tolerance: 1e-12, sweeps: 100)
    for (a, b) in zip(found.values, growth) { #expect(abs(a - Double.log(b)) < 1e-10) }
  }

  @Test func whatIsAnnihilatedHasNoGrowth() throws {
    var a = Matrix<Double>.identity(6)
    a[2, 2] = 0
    let found = try LyapunovExponents(of: [DenseOperator(a), DenseOperator(a)], count: 6)
    #expect(found.values.prefix(5).allSatisfy { abs($0) < 1e-12 })
    #expect(found.values[5] < -15)
  }

  @Test func countsWhatItAsksFor() throws {
    let members = factors(4, order: 20).map { StrictOperator(DenseOperator($0)) }
    var released: [Int] = []
    let found = try LyapunovExponents(of: members, count: 3, tolerance: 1e-6) {
      released.append($0)
    }
    #expect(members.allSatisfy { $0.violations.isEmpty })
    #expect(found.applications.passes == 4 * (2 * found.sweeps - 1))
    #expect(found.applications.jvp == 10 * 4 * found.sweeps)
    #expect(Array(released.prefix(8)) == [0, 1, 2, 3, 3, 2, 1, 0])
  }

  @Test func impossibleRequestsAreRefused() {
    let square = DenseOperator(.identity(4))
    for factors in [[], [DenseOperator(Matrix(rows: 4, columns: 5))]] {
      #expect(throws: SolverError.self) { try LyapunovExponents(of: factors, count: 1) }
    }
    #expect(throws: SolverError.self) { try LyapunovExponents(of: [square], count: 5) }
    #expect(throws: SolverError.self) { try LyapunovExponents(of: [square], count: 1, sweeps: 0) }
  }
}
