import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// Operators whose products are mostly rounding, because large terms cancel inside them.
@Suite struct RoundingTests {
  /// (A + c I) v − c v in single precision, with c = `size` · ‖A‖: products are off by about 6·10⁻⁸ · size · ‖A‖.
  private func cancelling(_ size: Double, adjointSeed: UInt64 = 1) -> ClosureOperator {
    let n = 60
    let make = { operatorWithSpectrum(jacobianLike(n), rows: n, columns: n, seed: $0) }
    let (a, other) = (make(1), make(adjointSeed))
    let c = Float(size * jacobianLike(n)[0])
    let around = { (v: [Double], product: Matrix<Double>) in
      zip(v, product.elements).map { Double((c * Float($0) + Float($1)) - c * Float($0)) }
    }
    return ClosureOperator(
      inputDimension: n, outputDimension: n, forward: { around($0, a.apply(Matrix([$0]))) },
      adjoint: { around($0, other.applyAdjoint(Matrix([$0]))) })
  }

  /// The adjoint is correct but inaccurate, which is a result with a reason, not an error.
  @Test(arguments: SolverKind.allCases, [1e5, 1e7, 1e9])
  func roundingIsNoWrongAdjoint(kind: SolverKind, size: Double) throws {
    let found = try kind.solver().partialSVD(of: cancelling(size), count: 3)
    guard case .stopped(let stop) = found.report.outcome else {
      Issue.record("converged in the operator's rounding")
      return
    }
    #expect(try #require(stop.residual) > 1e-5)
  }

  /// With enough accuracy left, a wrong adjoint is recognised: its defect is about 1/√n, rounding 6·10⁻⁸ · size.
  @Test(arguments: SolverKind.allCases, [1, 1e3] as [Double])
  func aWrongAdjointIsStillSeen(kind: SolverKind, size: Double) throws {
    let error = try #require(throws: OperatorError.self) {
      try kind.solver().partialSVD(of: cancelling(size, adjointSeed: 2), count: 3)
    }
    guard case .adjointMismatch = error else {
      Issue.record("\(error)")
      return
    }
    #expect(error.member == 0)
    #expect(error.reason.contains("the adjoint does not match the operator"))
  }
}
