public import LinearAlgebra

/// The paths of all tokens of one prompt, projected onto the plane of their two principal directions.
///
/// The states of all tokens and layers are stacked, (L + 1) n rows in ℝᵈ, centred, and projected onto the first two
/// right singular vectors, each with the sign that makes its largest component positive. There is one polyline per
/// token, in layer order. The directions are computed from the smaller Gram matrix, which squares the singular
/// values: accurate to 10⁻⁸ of the first, and cheap. Cost: O(r² max((L + 1) n, d)), where r is the smaller of the
/// two. After the pictures of Aubry et al., arXiv 2407.07810, with details chosen here.
public struct PathPicture: Sendable {
  /// (x, y) of token t at layer l, at `[t][l]`.
  public let polylines: [[SIMD2<Double>]]
  /// The shares of the total variance along the two directions; 0 if nothing varies.
  public let explainedVariance: SIMD2<Double>

  /// The picture of X⁰ … X^L, each (n, d), for the tokens from `first` on, as if there were no others.
  ///
  /// A token far from all others, as the first one often is, would determine both directions. Throws `LAPACKError` if
  /// a state is not finite. Precondition: all layers have the same shape, which includes token `first`.
  public init(states: [Matrix<Double>], from first: Int = 0) throws(LAPACKError) {
    let d = states.first?.columns ?? 0
    let n = (states.first?.rows ?? 0) - first
    precondition(
      states.allSatisfy { $0.rows == n + first && $0.columns == d }, "layers differ in shape")
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
      // The eigenvector of a wide matrix is the left vector, Xᵀ l = σ v; otherwise X v = σ l.
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
