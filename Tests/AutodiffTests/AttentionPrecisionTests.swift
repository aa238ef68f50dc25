import Autodiff
import LinearAlgebra
import Testing

/// Attention in single precision, compared with the same program in double.
@Suite struct AttentionPrecisionTests {
  private static let (tokens, d) = (12, 8)

  /// x (1, d + 2 d) ↦ attention of the query x₁ to `tokens` keys and values, those of token 5 being x₂ and x₃ minus
  /// the offsets; all keys and all values have an offset in common, to which soft-max is invariant.
  private func linearized<S: RealScalar>(
    _ precision: S.Type, offset: Double, sharpness: Double
  ) -> Linearization<S> {
    var generator = SeededGenerator(seed: 3)
    let (n, d) = (Self.tokens, Self.d)
    let settings = AttentionSettings(
      heads: 1, keyValueHeads: 1, headDimension: d, scale: sharpness,
      visible: { _, count in 0..<count })
    // Numbers that are exact in single precision with the offset added, since its rounding is not tested here.
    let round = { (m: Matrix<Double>) in
      Matrix(
        rows: m.rows, columns: m.columns, elements: m.elements.map { ($0 * 256).rounded() / 256 })
    }
    let (keys, values) = (
      round(generator.normalMatrix(rows: n, columns: d)),
      round(generator.normalMatrix(rows: n, columns: d))
    )
    let x = Matrix([
      Array(round(generator.normalMatrix(rows: 1, columns: d)).elements) + Array(keys.row(5))
        + Array(values.row(5))
    ])
    let moved = { (m: Matrix<Double>) in
      Variable(
        Matrix(rows: n, columns: d, elements: m.elements.map { S($0 + offset) }))
    }
    let cache = KeyValueCache(keys: moved(keys), values: moved(values), settings: settings)
    return linearize(
      { x in
        selectedAttention(
          queries: x.columns(0..<d), keys: x.columns(d..<2 * d), values: x.columns(2 * d..<3 * d),
          rows: [AttentionRow(cache: cache, sources: ActiveTokens([5], firstRow: 0), target: 0)],
          settings: settings)
      }, at: x.converted(to: S.self))
  }

  /// What all keys and values have in common costs no accuracy of J v and Jᵀ u.
  ///
  /// Each is a chain of about ten rounding errors over sums of 12 terms, and scores of up to about 30 in double
  /// precision leave errors of 10⁻⁷ in probabilities: 2·10⁻⁶ ‖J‖ is ample. Products with the offset itself would be
  /// off by 10³ times as much.
  @Test(arguments: [0, 300, 4096] as [Double])
  func commonOffsetsCostNothing(offset: Double) throws {
    let single = linearized(Float.self, offset: offset, sharpness: 1).materialized()
    let double = linearized(Double.self, offset: offset, sharpness: 1).materialized()
    let size = double.frobeniusNorm
    #expect((single - double).frobeniusNorm <= 2e-6 * size)
    let adjoint = linearized(Float.self, offset: offset, sharpness: 1).adjoint.materialized()
    #expect((adjoint.transposed - double).frobeniusNorm <= 2e-6 * size)
  }

  /// If one key takes nearly all the probability, the derivative is small and equally accurate: 1 − p is computed
  /// from the other keys.
  @Test(arguments: [5, 20, 60] as [Double])
  func saturationCostsNothing(sharpness: Double) throws {
    let (single, double) = (
      linearized(Float.self, offset: 0, sharpness: sharpness),
      linearized(Double.self, offset: 0, sharpness: sharpness)
    )
    let (n, d) = (3 * Self.d, Self.d)
    // Only the part through query and key; the direct path of the values is not small.
    let part = { (j: Matrix<Double>) in j.narrowed(to: 2 * d) }
    let exact = part(double.materialized())
    let size = exact.frobeniusNorm
    #expect(size > 0)
    // A score of a few hundred, from a product in double precision of rounded numbers, is exact here; its exponential
    // is rounded once.
    #expect((part(single.materialized()) - exact).frobeniusNorm <= 5e-6 * size)
    #expect((part(single.adjoint.materialized().transposed) - exact).frobeniusNorm <= 5e-6 * size)
    #expect(single.inputDimension == n)
  }
}
