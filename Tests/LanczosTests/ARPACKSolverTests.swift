import Lanczos
import LinearAlgebra
import TestSupport
import Testing

@Suite struct ARPACKSolverTests {
  private func slow() -> DenseOperator {
    operatorWithSpectrum(
      (0..<150).map { 1 - 0.001 * Double($0) }, rows: 150, columns: 150, seed: 3)
  }

  @Test func stoppedEarlyItNamesItsSettingsAndStillAnswers() throws {
    let found = try ARPACKSolver(tolerance: 1e-9, subspaceDimension: 8, restarts: 2)
      .partialSVD(of: slow(), count: 5)
    guard case .stopped(let stop) = found.report.outcome else {
      Issue.record("converged in two restarts")
      return
    }
    #expect(stop.reason == .exhausted)
    #expect(stop.remedy.contains("restarts") && stop.remedy.contains("subspaceDimension"))
    #expect(found.report.converged < 5)
    #expect(found.report.restarts <= 2)
    #expect(found.singularValues.count == 5)
    #expect(orthonormalityDefect(found.rightVectors) < 1e-12)
    // Unconverged Ritz values come from below (Courant–Fischer) and never exceed σ₁.
    #expect(found.singularValues.allSatisfy { $0 <= 1 + 1e-12 })
  }

  @Test func aLargerSubspaceNeedsFewerRestarts() throws {
    let small = try ARPACKSolver(subspaceDimension: 12).partialSVD(of: slow(), count: 5)
    let large = try ARPACKSolver(subspaceDimension: 60).partialSVD(of: slow(), count: 5)
    #expect(small.report.subspaceDimension == 12)
    #expect(large.report.subspaceDimension == 60)
    #expect(large.report.restarts < small.report.restarts)
  }

  @Test func refusesSettingsOutOfRange() {
    for solver in [ARPACKSolver(subspaceDimension: 5), ARPACKSolver(restarts: 0)] {
      #expect(throws: SolverError.self) { try solver.partialSVD(of: slow(), count: 5) }
    }
  }

  /// ARPACK's state is global: without the lock, concurrent solves would corrupt each other.
  @Test func concurrentSolvesDoNotMix() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for seed in 0..<8 as Range<UInt64> {
        group.addTask {
          let values = jacobianLike(60 + Int(seed)).map { $0 * Double(seed + 1) }
          let a = operatorWithSpectrum(
            values, rows: values.count, columns: values.count, seed: seed)
          for _ in 0..<3 {
            let found = try ARPACKSolver(seed: seed).partialSVD(of: a, count: 4)
            for (i, value) in found.singularValues.enumerated() {
              #expect(abs(value - values[i]) <= 1e-5 * values[0])
            }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// A solve inside a product would wait for its own lock, so it throws instead.
  @Test func aSolveInsideAnOperatorIsAnError() throws {
    let inner = slow()
    var heard: (any Error)?
    let outer = ClosureOperator(
      inputDimension: 20, outputDimension: 20,
      forward: { x in
        do { _ = try ARPACKSolver().partialSVD(of: inner, count: 2) } catch { heard = error }
        return x
      }, adjoint: { $0 })
    _ = try ARPACKSolver().partialSVD(of: outer, count: 2)
    #expect(heard as? SolverError == .nestedSolve)
  }
}
