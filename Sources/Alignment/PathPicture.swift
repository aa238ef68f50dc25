public import LinearAlgebra

/// The paths of all tokens of one prompt in the plane of their two main directions.
///
/// The states of all tokens and layers are stacked, (L + 1) n rows in ℝᵈ, centred by their mean, and projected on the
/// first two right singular vectors; the sign of each is the one that makes its largest component positive. One polyline
/// per token, in layer order. Cost of the decomposition O(r² max((L + 1) n, d)), r the smaller of the two.
/// After the pictures of Aubry et al., arXiv 2407.07810; the details are a choice made here.
public struct PathPicture: Sendable {
  /// (x, y) of token t at layer l, at `[t][l]`.
  public let polylines: [[SIMD2<Double>]]
  /// The shares of the total variance along the two directions; 0 when nothing varies.
  public let explainedVariance: SIMD2<Double>

  /// Of X⁰ … X^L, each (n, d).
  ///
  /// Throws `LAPACKError` when a state is not finite. Precondition: one shape for all layers.
  public init(states: [Matrix<Double>]) throws(LAPACKError) {
    let (n, d) = (states.first?.rows ?? 0, states.first?.columns ?? 0)
    precondition(
      states.allSatisfy { $0.rows == n && $0.columns == d }, "layers of different shapes")
    let count = states.count * n
    var stacked = Matrix<Double>(rows: count, columns: d, elements: states.flatMap(\.elements))
    for j in 0..<d {
      let mean = (0..<count).reduce(0) { $0 + stacked[$1, j] } / Double(count)
      for i in 0..<count { stacked[i, j] -= mean }
    }
    let (left, values, right) = try stacked.singularValueDecomposition()
    let total = values.reduce(0) { $0 + $1 * $1 }
    var (points, explained) = (
      Array(repeating: SIMD2<Double>(), count: count), SIMD2<Double>()
    )
    for k in 0..<min(2, values.count) where total > 0 {
      let largest = right.row(k).max { abs($0) < abs($1) } ?? 1
      let sign: Double = largest < 0 ? -1 : 1
      for i in 0..<count { points[i][k] = sign * values[k] * left[k, i] }
      explained[k] = values[k] * values[k] / total
    }
    polylines = (0..<n).map { t in states.indices.map { l in points[l * n + t] } }
    explainedVariance = explained
  }
}
