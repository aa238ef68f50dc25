import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// What every solver guarantees besides the numbers.
@Suite struct ContractTests {
  @Test(arguments: SolverKind.allCases, problems)
  func keepsTheOperatorsContractAndCounts(kind: SolverKind, problem: Problem) throws {
    let strict = StrictOperator(problem.makeOperator())
    let found = try kind.solver(tolerance: 1e-6).partialSVD(of: strict, count: problem.count)
    #expect(strict.violations.isEmpty)
    #expect(found.report.applications == strict.count)
    #expect(found.report.requested == problem.count)
    #expect(found.report.converged == problem.count)
  }

  @Test(arguments: SolverKind.allCases)
  func namesTheSolverThatAnswered(kind: SolverKind) throws {
    let a = operatorWithSpectrum(jacobianLike(50), rows: 50, columns: 50, seed: 1)
    let found = try kind.solver().partialSVD(of: a, count: 3)
    if kind != .auto { #expect(found.report.solver == kind.rawValue) }
    #expect(SolverKind(rawValue: found.report.solver) != nil)
  }

  @Test(arguments: [11, 12])
  func arpackLeavesNearlyFullRequestsToTheDenseSolver(count: Int) throws {
    let a = operatorWithSpectrum(jacobianLike(12), rows: 12, columns: 15, seed: 1)
    #expect(try ARPACKSolver().partialSVD(of: a, count: count).report.solver == "dense")
    #expect(try ARPACKSolver().partialSVD(of: a, count: 10).report.solver == "arpack")
  }

  @Test(arguments: SolverKind.allCases, [0, 1, 99] as [UInt64])
  func sameSeedSameBits(kind: SolverKind, seed: UInt64) throws {
    for problem in problems {
      let solve = {
        try kind.solver(tolerance: 1e-7, seed: seed)
          .partialSVD(of: problem.makeOperator(), count: problem.count)
      }
      let (first, second) = (try solve(), try solve())
      #expect(first.singularValues == second.singularValues)
      #expect(first.leftVectors == second.leftVectors)
      #expect(first.rightVectors == second.rightVectors)
      #expect(first.report.seed == seed)
    }
  }

  @Test(arguments: SolverKind.allCases.filter { $0 != .dense })
  func anotherSeedTakesAnotherWayToTheSameAnswer(kind: SolverKind) throws {
    let a = operatorWithSpectrum(jacobianLike(80), rows: 80, columns: 80, seed: 1)
    let first = try kind.solver(seed: 1).partialSVD(of: a, count: 5)
    let second = try kind.solver(seed: 2).partialSVD(of: a, count: 5)
    #expect(first.residualNorms != second.residualNorms)
    for (x, y) in zip(first.singularValues, second.singularValues) {
      #expect(abs(x - y) <= 2e-5 * first.singularValues[0])
    }
  }

  @Test(arguments: SolverKind.allCases)
  func refusesImpossibleRequests(kind: SolverKind) {
    let a = operatorWithSpectrum([2, 1], rows: 5, columns: 4, seed: 1)
    for count in [0, -1, 5, Int.max] {
      #expect(throws: SolverError.impossibleCount(count, limit: 4)) {
        try kind.solver().partialSVD(of: a, count: count)
      }
    }
    for tolerance in [0, -1, 1, .nan, .infinity] {
      #expect(throws: SolverError.self) {
        try kind.solver(tolerance: tolerance).partialSVD(of: a, count: 1)
      }
    }
  }

  @Test(arguments: SolverKind.allCases, [true, false])
  func namesTheProductThatIsNotFinite(kind: SolverKind, forward: Bool) {
    let n = 40
    let scale = { (x: [Double]) in x.enumerated().map { $1 / Double($0 + 1) } }
    let poisoned = { (x: [Double]) in scale(x).map { $0 + .nan } }
    let a = ClosureOperator(
      inputDimension: n, outputDimension: n, forward: forward ? poisoned : scale,
      adjoint: forward ? scale : poisoned)
    #expect(
      throws: OperatorError.notFinite(forward ? .forward : .adjoint, member: 0)
    ) { try kind.solver().partialSVD(of: a, count: 3) }
  }

  @Test(arguments: SolverKind.allCases, [(30, 30), (50, 30), (30, 50)])
  func noticesAWrongAdjoint(kind: SolverKind, shape: (Int, Int)) throws {
    let (m, n) = shape
    let right = operatorWithSpectrum(jacobianLike(30), rows: m, columns: n, seed: 1)
    let wrong = operatorWithSpectrum(jacobianLike(30), rows: m, columns: n, seed: 2)
    let a = ClosureOperator(
      inputDimension: n, outputDimension: m,
      forward: { Array(right.apply(Matrix([$0])).elements) },
      adjoint: { Array(wrong.applyAdjoint(Matrix([$0])).elements) })
    let error = try #require(throws: OperatorError.self) {
      try kind.solver().partialSVD(of: a, count: 3)
    }
    guard case .adjointMismatch(let defect, _) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(defect > 1e-4)
  }

  /// The kept products are A V and Aᵀ U of the vectors in the answer, further ones included, whichever side is the shorter one. The
  /// solver combines products of at most 40 vectors, in the same way as the vectors: rounding differs by some 40 · 100 u σ₁.
  @Test(arguments: SolverKind.allCases, [(60, 60), (100, 60), (60, 100)])
  func keepsTheProductsOfItsMeasurement(kind: SolverKind, shape: (Int, Int)) throws {
    let (m, n) = shape
    let a = operatorWithSpectrum(jacobianLike(60), rows: m, columns: n, seed: 1)
    let found = try kind.solver().partialSVD(of: a, count: 5)
    let products = try #require(found.products)
    let right = Matrix(
      rows: products.images.rows, columns: n,
      elements: found.rightVectors.elements + (found.further?.rightVectors.elements ?? []))
    let left = Matrix(
      rows: products.adjointImages.rows, columns: m,
      elements: found.leftVectors.elements + (found.further?.leftVectors.elements ?? []))
    let errors =
      (products.images - a.apply(right)).elements
      + (products.adjointImages - a.applyAdjoint(left)).elements
    let largest = errors.reduce(0) { max($0, abs($1)) }
    #expect(largest <= 4000 * 0x1p-53 * found.singularValues[0])
  }

  @Test(arguments: SolverKind.allCases)
  func aTighterToleranceIsObeyed(kind: SolverKind) throws {
    let a = operatorWithSpectrum(jacobianLike(100), rows: 100, columns: 100, seed: 1)
    let loose = try kind.solver(tolerance: 1e-3).partialSVD(of: a, count: 5)
    let tight = try kind.solver(tolerance: 1e-11).partialSVD(of: a, count: 5).requireConverged()
    #expect(tight.residualNorms.max()! <= 1e-11 * tight.singularValues[0])
    if kind != .dense {
      #expect(loose.report.applications.passes < tight.report.applications.passes)
    }
  }

  @Test(arguments: SolverKind.allCases)
  func aToleranceBelowRoundingStopsWithARemedy(kind: SolverKind) throws {
    let a = SinglePrecisionOperator(
      operatorWithSpectrum(jacobianLike(60), rows: 60, columns: 60, seed: 1))
    let found = try kind.solver(tolerance: 1e-14).partialSVD(of: a, count: 5)
    guard case .stopped(let stop) = found.report.outcome else {
      Issue.record("converged below the operator's precision")
      return
    }
    #expect(stop.reason == .rounding && stop.remedy.contains("tolerance"))
    // The reported residual would do as a tolerance: it is the largest residual norm, rounded up to two digits.
    let worst = found.residualNorms.max()! / found.singularValues[0]
    let residual = try #require(stop.residual)
    #expect(residual >= worst && residual <= 1.1 * worst)
    #expect(throws: NotConverged.self) { try found.requireConverged() }
    // The triplets are still correct, to the available precision.
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - jacobianLike(60)[i]) <= 1e-6 * 56)
    }
  }
}
