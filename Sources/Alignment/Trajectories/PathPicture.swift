public import LinearAlgebra

/// The paths of all tokens of one prompt in the plane of their two main directions.
///
/// The states of all tokens and layers are stacked, (L + 1) n rows in ℝᵈ, centred by their mean, and projected on the
/// first two right singular vectors; the sign of each is the one that makes its largest component positive. One polyline
/// per token, in layer order. The directions come from the smaller Gram matrix, which squares the singular values: exact to
/// 10⁻⁸ of the first, and cheap. Cost O(r² max((L + 1) n, d)), r the smaller of the two.
/// After the pictures of Aubry et al., arXiv 2407.07810; the details are a choice made here.
public struct PathPicture: Sendable {
  /// (x, y) of token t at layer l, at `[t][l]`.
  public let polylines: [[SIMD2<Double>]]
  /// The shares of the total variance along the two directions; 0 when nothing varies.
  public let explainedVariance: SIMD2<Double>

  /// Of X⁰ … X^L, each (n, d); of the tokens from `first` on, as if there were no others.
  ///
  /// One token far from all others, as the first one often is, takes both directions for itself.
  /// Throws `LAPACKError` when a state is not finite. Precondition: one shape for all layers, which has the token.
  public init(states: [Matrix<Double>], from first: Int = 0) throws(LAPACKError) {
    let d = states.first?.columns ?? 0
    let n = (states.first?.rows ?? 0) - first
    precondition(
      states.allSatisfy { $0.rows == n + first && $0.columns == d }, "layers of different shapes")
    precondition(n >= 0, "a picture from token \(first) of \(n + first)")
    let count = states.count * n
    var stacked = Matrix<Double>(
      rows: count, columns: d, elements: states.flatMap { $0.elements.dropFirst(first * d) })
    for j in 0..<d {
      let mean = (0..<count).reduce(0) { $0 + stacked[$1, j] } / Double(count)
      for i in 0..<count { stacked[i, j] -= mean }
    }
    let total = stacked.elements.reduce(0) { $0 + $1 * $1 }
    let isWide = count <= d
    let gram = stacked.gram(isWide ? .none : .transposed)
    let (squares, vectors) = try gram.largestEigenpairs(min(2, gram.rows))
    var (points, explained) = (
      Array(repeating: SIMD2<Double>(), count: count), SIMD2<Double>()
    )
    for k in squares.indices where squares[k] > 0 {
      let vector = Matrix([Array(vectors.row(k))])
      // A wide matrix' eigenvector is the left one: Xᵀ l = σ v; else X v = σ l.
      let other = Matrix.product(vector, .none, stacked, isWide ? .none : .transposed)
      let direction = isWide ? other : vector
      let largest = direction.elements.max { abs($0) < abs($1) } ?? 1
      let sign: Double = largest < 0 ? -1 : 1
      let scale = isWide ? sign * squares[k].squareRoot() : sign
      for i in 0..<count { points[i][k] = scale * (isWide ? vector : other).elements[i] }
      explained[k] = squares[k] / total
    }
    polylines = (0..<n).map { t in states.indices.map { l in points[l * n + t] } }
    explainedVariance = explained
  }
}
