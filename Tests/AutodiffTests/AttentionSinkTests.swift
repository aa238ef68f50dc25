import Autodiff
import Foundation
import LinearAlgebra
import Testing

/// The effect of a sink on an attention, and values of another size than keys; `Program` covers their derivatives.
@Suite struct AttentionSinkTests {
  private static let (tokens, d, e) = (5, 4, 3)

  private func attention(
    _ sinks: [Double]?, valueDimension: Int, values: Matrix<Double>
  ) -> (out: Matrix<Double>, queries: Matrix<Double>, keys: Matrix<Double>) {
    var generator = SeededGenerator(seed: 11)
    let queries = generator.normalMatrix(rows: Self.tokens, columns: 2 * Self.d)
    let keys = generator.normalMatrix(rows: Self.tokens, columns: Self.d)
    let settings = AttentionSettings(
      heads: 2, keyValueHeads: 1, headDimension: Self.d, valueDimension: valueDimension,
      scale: 0.7, sinks: sinks)
    let cache = KeyValueCache<Double>(
      keys: Variable(keys), values: Variable(values), settings: settings)
    let out = sequenceAttention(queries: Variable(queries), caches: [cache], settings: settings)
    return (out.value, queries, keys)
  }

  private var values: Matrix<Double> {
    var generator = SeededGenerator(seed: 12)
    return generator.normalMatrix(rows: Self.tokens, columns: Self.e)
  }

  /// pᵢ = exp(sᵢ) / (Σⱼ exp(sⱼ) + exp(sink)), a sum of at most 5 terms: rounding is about 10⁻¹⁵.
  @Test(arguments: [[-3, 2], [0, 700], [-2000, -0.5]] as [[Double]])
  func aSinkTakesItsShare(sinks: [Double]) {
    let (out, queries, keys) = attention(sinks, valueDimension: Self.e, values: values)
    for t in 0..<Self.tokens {
      for h in 0..<2 {
        let scores = (0...t).map { k in
          0.7 * (0..<Self.d).reduce(0) { $0 + queries[t, h * Self.d + $1] * keys[k, $1] }
        }
        let top = max(scores.max()!, sinks[h])
        let powers = scores.map { exp($0 - top) }
        let total = powers.reduce(0, +) + exp(sinks[h] - top)
        for i in 0..<Self.e {
          let wanted = (0...t).reduce(0) { $0 + powers[$1] / total * values[$1, i] }
          #expect(abs(out[t, h * Self.e + i] - wanted) < 1e-13)
        }
      }
    }
  }

  /// Values with additional features of zeros give the same features, and zeros.
  @Test func narrowValuesAreWideOnesCutOff() {
    let wide = Matrix(
      (0..<Self.tokens).map { Array(values.row($0)) + [0] })
    for sinks in [nil, [0.3, -1]] as [[Double]?] {
      let narrow = attention(sinks, valueDimension: Self.e, values: values).out
      let full = attention(sinks, valueDimension: Self.d, values: wide).out
      for t in 0..<Self.tokens {
        for h in 0..<2 {
          for i in 0..<Self.d {
            let wanted = i < Self.e ? narrow[t, h * Self.e + i] : 0
            #expect(abs(full[t, h * Self.d + i] - wanted) < 1e-14)
          }
        }
      }
    }
  }
}
