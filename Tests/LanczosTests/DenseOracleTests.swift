import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// Every solver is compared with chosen spectra and with LAPACK.
@Suite struct DenseOracleTests {
  @Test(arguments: SolverKind.allCases, problems)
  func findsTheLargestTriplets(kind: SolverKind, problem: Problem) throws {
    let tolerance = 1e-9
    let a = problem.makeOperator()
    let found = try kind.solver(tolerance: tolerance, seed: 5)
      .partialSVD(of: a, count: problem.count).requireConverged()
    let largest = problem.value(0)

    // |σ̂ − σ| ≤ ‖residual‖ ≤ tolerance · σ₁ for some σ of A (Weyl); the rest is rounding in the operator.
    let slack = (tolerance + 1e-13) * largest + 1e-300
    #expect(found.singularValues.count == problem.count)
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - problem.value(i)) <= slack, "σ\(i)")
    }
    #expect(found.singularValues == found.singularValues.sorted(by: >))

    // 1e-12: a few hundred rounding errors of 1e-16 in products of length ≤ 150, with a margin.
    #expect(orthonormalityDefect(found.leftVectors) < 1e-12)
    #expect(orthonormalityDefect(found.rightVectors) < 1e-12)
    #expect(found.leftVectors.columns == problem.rows)
    #expect(found.rightVectors.columns == problem.columns)
  }

  @Test(arguments: SolverKind.allCases, problems)
  func reportsTheResidualNormsItHas(kind: SolverKind, problem: Problem) throws {
    let a = problem.makeOperator()
    let found = try kind.solver(tolerance: 1e-6, seed: 5).partialSVD(of: a, count: problem.count)
    let w = a.apply(found.rightVectors)
    let x = a.applyAdjoint(found.leftVectors)
    for i in 0..<problem.count {
      let sigma = found.singularValues[i]
      let forward = zip(w.row(i), found.leftVectors.row(i)).map { ($0 - sigma * $1) }
      let backward = zip(x.row(i), found.rightVectors.row(i)).map { ($0 - sigma * $1) }
      let norm = max(
        Matrix([forward]).frobeniusNorm, Matrix([backward]).frobeniusNorm)
      // The products are recomputed with another grouping: equal up to rounding of ‖A‖.
      #expect(abs(found.residualNorms[i] - norm) <= 1e-13 * problem.value(0) + 1e-300)
      #expect(norm <= 1e-6 * problem.value(0) + 1e-300)
    }
  }

  @Test(arguments: SolverKind.allCases, problems.filter { $0.count < $0.values.count })
  func spansTheSameSubspaceWhereTheSpectrumHasAGap(kind: SolverKind, problem: Problem) throws {
    let gap = problem.value(problem.count - 1) - problem.value(problem.count)
    guard gap > 1e-3 * problem.value(0) else { return }
    let a = problem.makeOperator()
    let found = try kind.solver(tolerance: 1e-8, seed: 2).partialSVD(of: a, count: problem.count)
    let oracle = try DenseSolver().partialSVD(of: a, count: problem.count)
    // Wedin: sin θ ≤ √k · residual / gap, and the projectors differ by √2 times its Frobenius norm.
    let residual = 1e-8 * problem.value(0) * Double(problem.count).squareRoot()
    let bound = 3 * residual / gap + 1e-10
    for (ours, theirs) in [
      (found.leftVectors, oracle.leftVectors), (found.rightVectors, oracle.rightVectors),
    ] {
      let difference =
        Matrix.product(ours, .transposed, ours) - Matrix.product(theirs, .transposed, theirs)
      #expect(difference.frobeniusNorm <= bound)
    }
  }

  /// The signs do not depend on LAPACK: the first of the largest entries of v, those within a hundredth, is positive.
  @Test(arguments: problems)
  func denseVectorsHaveFixedSigns(problem: Problem) throws {
    let found = try DenseSolver().partialSVD(of: problem.makeOperator(), count: problem.count)
    for i in 0..<problem.count {
      let row = found.rightVectors.row(i).map { $0 }
      let peak = try #require(row.map { abs($0) }.max())
      #expect(try #require(row.first { abs($0) >= 0.99 * peak }) > 0)
    }
  }

  /// A spectrum like that of a residual Jacobian, at the default tolerance, in the precision that models are computed
  /// in.
  @Test(arguments: SolverKind.allCases, [1, 10, 30])
  func reachesTheDefaultToleranceInSinglePrecision(kind: SolverKind, count: Int) throws {
    let values = jacobianLike(200)
    let a = SinglePrecisionOperator(
      operatorWithSpectrum(values, rows: 200, columns: 200, seed: 7))
    let found = try kind.solver().partialSVD(of: a, count: count).requireConverged()
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - values[i]) <= 1.1e-5 * values[0])
    }
  }

  /// σ_k far below σ₁, where √ε · σ₁ of the single precision inside is above σ_k²/σ₁.
  @Test(arguments: SolverKind.allCases)
  func reachesSmallValuesInSinglePrecision(kind: SolverKind) throws {
    let values = (0..<100).map { $0 == 0 ? 1000.0 : 1 / Double($0) }
    let a = SinglePrecisionOperator(
      operatorWithSpectrum(values, rows: 100, columns: 100, seed: 7))
    let found = try kind.solver().partialSVD(of: a, count: 6).requireConverged()
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - values[i]) <= 1.1e-5 * values[0])
    }
  }
}
