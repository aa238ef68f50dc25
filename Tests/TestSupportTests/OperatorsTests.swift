import LinearAlgebra
import TestSupport
import Testing

/// Tests of the helpers that other tests rely on.
@Suite struct OperatorsTests {
  @Test(arguments: [(6, 6), (9, 5), (5, 9)], [1, 2] as [UInt64])
  func anOperatorHasTheSpectrumItWasGiven(shape: (Int, Int), seed: UInt64) throws {
    let values = [7.0, 3, 3, 0.5, 0]
    let a = operatorWithSpectrum(values, rows: shape.0, columns: shape.1, seed: seed)
    let found = try a.matrix.singularValueDecomposition().values
    for (i, value) in found.enumerated() {
      #expect(abs(value - (i < values.count ? values[i] : 0)) < 1e-13)
    }
  }

  @Test func aStrictOperatorSeesEveryBreach() {
    let careless = ClosureOperator(
      inputDimension: 2, outputDimension: 3, forward: { $0 + [0] }, adjoint: { Array($0.prefix(2)) }
    )
    let strict = StrictOperator(careless)
    #expect(strict.apply(Matrix([[1, 2], [3, 4]])).elements == [1, 2, 0, 3, 4, 0])
    #expect(strict.applyAdjoint(Matrix([[1, 2, 3]])).elements == [1, 2])
    #expect(strict.violations.isEmpty)
    #expect(strict.widest == 2)
    #expect(strict.count.jvp == 2 && strict.count.vjp == 1 && strict.count.passes == 2)

    _ = strict.apply(Matrix([[1, Double.nan]]))
    #expect(strict.violations == ["input not finite"])

    let lazy = StrictOperator(LazyOperator())
    // A number that the operator does not write stays NaN, rather than being 0 by chance.
    #expect(lazy.apply(Matrix([[1, 1]])).elements.map(\.isNaN) == [false, true])
  }

  /// An operator that writes only the first number.
  private final class LazyOperator: LinearOperator {
    var inputDimension: Int { 2 }
    var outputDimension: Int { 2 }
    func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) { y[0] = v[0] }
    func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {}
  }

  @Test func singlePrecisionRoundsBothEnds() {
    let third = 1.0 / 3
    let a = SinglePrecisionOperator(DenseOperator(Matrix([[third]])))
    let expected = Double(Float(Double(Float(third)) * third))
    #expect(a.apply(Matrix([[third]])).elements == [expected])
    #expect(a.applyAdjoint(Matrix([[third]])).elements == [expected])
    #expect(expected != third * third)
  }
}
