import Foundation
import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// Solvers do not depend on the scale of an operator.
@Suite struct ScaleTests {
  /// s (I − P), where P is the cyclic shift of n = 64: σ = 2 s |sin(π k / n)|, all but two of them twice. Products
  /// are rounded to single precision, in which s² overflows or underflows.
  @Test(arguments: SolverKind.allCases, [1e-30, 1e-12, 1, 1e12, 1e30])
  func anySize(kind: SolverKind, scale: Double) throws {
    let n = 64
    let a = SinglePrecisionOperator(
      ClosureOperator(
        inputDimension: n, outputDimension: n,
        forward: { x in (0..<n).map { scale * (x[$0] - x[($0 + n - 1) % n]) } },
        adjoint: { x in (0..<n).map { scale * (x[$0] - x[($0 + 1) % n]) } }))
    let found = try kind.solver().partialSVD(of: a, count: 9).requireConverged()
    let values = (0..<n).map { 2 * scale * abs(sin(.pi * Double($0) / Double(n))) }.sorted(by: >)
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - values[i]) <= 2.1e-5 * values[0])
    }
  }

  /// The same problem scaled by a power of two gives the same bits, except for the exponent.
  @Test(arguments: SolverKind.allCases)
  func powersOfTwoChangeNothing(kind: SolverKind) throws {
    let values = jacobianLike(60)
    let solve = { (factor: Double) in
      try kind.solver().partialSVD(
        of: operatorWithSpectrum(values, rows: 60, columns: 60, seed: 2).scaled(by: factor),
        count: 5)
    }
    let (one, other) = (try solve(1), try solve(0x1p-70))
    for (x, y) in zip(one.singularValues, other.singularValues) {
      #expect(abs(x - y * 0x1p70) <= 1e-13 * values[0])
    }
    #expect(one.report.restarts == other.report.restarts)
  }
}

extension DenseOperator {
  fileprivate func scaled(by factor: Double) -> ClosureOperator {
    ClosureOperator(
      inputDimension: inputDimension, outputDimension: outputDimension,
      forward: { self.apply(Matrix([$0])).elements.map { factor * $0 } },
      adjoint: { self.applyAdjoint(Matrix([$0])).elements.map { factor * $0 } })
  }
}
