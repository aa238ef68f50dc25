import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// Each setting of the block and the randomized solver has an observable effect.
@Suite struct BlockSolverTests {
  private func slow() -> DenseOperator {
    operatorWithSpectrum(
      (0..<150).map { 1 - 0.004 * Double($0) }, rows: 150, columns: 160, seed: 3)
  }

  @Test func widerBlocksNeedFewerPasses() throws {
    let a = operatorWithSpectrum(jacobianLike(200), rows: 200, columns: 200, seed: 1)
    let passes = try [1, 4, 16].map { block in
      let found = try BlockLanczosSolver(blockSize: block).partialSVD(of: a, count: 6)
      #expect(found.report.isConverged)
      return found.report.applications.passes
    }
    #expect(passes == passes.sorted(by: >) && Set(passes).count == 3)
    let narrow = try BlockLanczosSolver(blockSize: 16, width: 1).partialSVD(of: a, count: 6)
    #expect(narrow.report.applications.passes > passes[0])
  }

  @Test(arguments: [1, 3, 8], [1, 5, 9])
  func restartsInASmallSubspaceAndStillConverges(block: Int, count: Int) throws {
    let found = try BlockLanczosSolver(
      tolerance: 1e-8, blockSize: block, subspaceDimension: count + 5 * block + 10, restarts: 2000
    ).partialSVD(of: slow(), count: count).requireConverged()
    #expect(found.report.restarts > 0)
    #expect(found.report.subspaceDimension <= count + 6 * block + 10)
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - (1 - 0.004 * Double(i))) <= 1e-8)
    }
    #expect(orthonormalityDefect(found.rightVectors) < 1e-12)
  }

  @Test func stoppedEarlyTheyNameTheirSettings() throws {
    let solvers: [(any PartialSVDSolver, String)] = [
      (
        BlockLanczosSolver(tolerance: 1e-9, blockSize: 2, subspaceDimension: 12, restarts: 1),
        "subspaceDimension"
      ),
      (RandomizedSolver(tolerance: 1e-9, oversampling: 2, iterations: 4), "iterations"),
    ]
    for (solver, setting) in solvers {
      let found = try solver.partialSVD(of: slow(), count: 5)
      guard case .stopped(let stop) = found.report.outcome else {
        Issue.record("converged at once")
        continue
      }
      #expect(stop.reason == .exhausted && stop.remedy.contains(setting))
      #expect(found.report.converged < 5 && found.singularValues.count == 5)
      #expect(found.singularValues.allSatisfy { $0 <= 1 + 1e-12 })
    }
  }

  @Test func refuseSettingsOutOfRange() {
    let solvers: [any PartialSVDSolver] = [
      BlockLanczosSolver(blockSize: 0), BlockLanczosSolver(blockSize: 4, subspaceDimension: 10),
      BlockLanczosSolver(restarts: -1), BlockLanczosSolver(width: 0),
      RandomizedSolver(oversampling: -1), RandomizedSolver(iterations: 1),
      DenseSolver(blockSize: 0),
    ]
    for solver in solvers {
      #expect(throws: SolverError.self) { try solver.partialSVD(of: slow(), count: 5) }
    }
  }

  /// Copies of a value are found, up to the width of the block.
  @Test(arguments: [3, 8])
  func findsRepeatedValuesUpToTheBlock(copies: Int) throws {
    let values = Array(repeating: 3.0, count: copies) + jacobianLike(60).map { $0 / 28 }
    let sorted = values.sorted(by: >)
    let a = operatorWithSpectrum(values, rows: 80, columns: 90, seed: 2)
    let solvers: [any PartialSVDSolver] = [
      BlockLanczosSolver(blockSize: 8), RandomizedSolver(oversampling: 2),
    ]
    for solver in solvers {
      let found = try solver.partialSVD(of: a, count: 10).requireConverged()
      for (x, y) in zip(found.singularValues, sorted) { #expect(abs(x - y) <= 2e-5 * sorted[0]) }
    }
  }

  @Test func oversamplingWidensTheBlock() throws {
    let strict = StrictOperator(slow())
    _ = try RandomizedSolver(oversampling: 7).partialSVD(of: strict, count: 4)
    #expect(strict.widest == 11)
  }

  @Test func denseBlocksBoundTheWidthOfAnApplication() throws {
    let strict = StrictOperator(slow())
    _ = try DenseSolver(blockSize: 5).partialSVD(of: strict, count: 12)
    #expect(strict.widest == 5)
  }
}
