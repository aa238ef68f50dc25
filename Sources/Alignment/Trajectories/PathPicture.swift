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
  /// a state is not finite. Besides the states it takes the smaller Gram matrix and about as many states in double precision at a
  /// time. Precondition: all layers have the same shape, which includes token `first`.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public init<Scalar: RealScalar>(
    states: [Matrix<Scalar>], from first: Int = 0
  ) throws(LAPACKError) {
    let d = states.first?.columns ?? 0
    let n = (states.first?.rows ?? 0) - first
    precondition(
      states.allSatisfy { $0.rows == n + first && $0.columns == d }, "layers differ in shape")
    precondition(n >= 0, "a picture from token \(first) of \(n + first)")
    let count = states.count * n
    let centred = CentredStates(states, from: first)
    let isWide = count <= d
    let parts = isWide ? [states.indices] : centred.parts
    var gram = centred.matrix(parts[0]).gram(isWide ? .none : .transposed)
    for part in parts.dropFirst() {
      let more = centred.matrix(part).gram(.transposed)
      for i in gram.elements.indices { gram.elements[i] += more.elements[i] }
    }
    let (squares, vectors) = try gram.largestEigenpairs(min(2, gram.rows))
    // The eigenvectors of a wide matrix are the left vectors, Xᵀ l = σ v; otherwise X v = σ l.
    let directions =
      isWide ? Matrix.product(vectors, .none, centred.matrix(parts[0]), .none) : vectors
    let signs = squares.indices.map { k -> Double in
      (directions.row(k).max { abs($0) < abs($1) } ?? 1) < 0 ? -1 : 1
    }
    var points = Array(repeating: SIMD2<Double>(), count: count)
    var start = 0
    for part in parts {
      let places =
        isWide
        ? vectors : Matrix.product(directions, .none, centred.matrix(part), .transposed)
      for k in squares.indices where squares[k] > 0 {
        let scale = isWide ? signs[k] * squares[k].squareRoot() : signs[k]
        for i in 0..<places.columns { points[start + i][k] = scale * places[k, i] }
      }
      start += places.columns
    }
    var explained = SIMD2<Double>()
    for k in squares.indices where squares[k] > 0 { explained[k] = squares[k] / centred.total }
    polylines = (0..<n).map { t in states.indices.map { l in points[l * n + t] } }
    explainedVariance = explained
  }
}

/// The states of all layers minus their mean, in double precision, some layers at a time.
private struct CentredStates<Scalar: RealScalar> {
  private let states: [Matrix<Scalar>]
  private let first: Int
  private let mean: [Double]
  /// The sum of all squares.
  let total: Double

  init(_ states: [Matrix<Scalar>], from first: Int) {
    (self.states, self.first) = (states, first)
    let (tokens, d) = (states.first?.rows ?? 0, states.first?.columns ?? 0)
    var mean = [Double](repeating: 0, count: d)
    for x in states {
      for i in first..<tokens { for j in 0..<d { mean[j] += Double(x[i, j]) } }
    }
    let count = Double(states.count * (tokens - first))
    mean = mean.map { $0 / count }
    var total = 0.0
    for x in states {
      for i in first..<tokens {
        for j in 0..<d {
          let difference = Double(x[i, j]) - mean[j]
          total += difference * difference
        }
      }
    }
    (self.mean, self.total) = (mean, total)
  }

  /// All layers, in parts of about as many rows as columns.
  var parts: [Range<Int>] {
    let rows = (states.first?.rows ?? 0) - first
    let layers = max(1, mean.count / max(1, rows))
    return stride(from: 0, to: states.count, by: layers).map {
      $0..<min($0 + layers, states.count)
    }
  }

  /// The states of some layers, one row per layer and token.
  func matrix(_ layers: Range<Int>) -> Matrix<Double> {
    let d = mean.count
    let rows = (states.first?.rows ?? 0) - first
    var matrix = Matrix<Double>(
      rows: layers.count * rows, columns: d,
      elements: Array(repeating: 0, count: layers.count * rows * d))
    for (l, layer) in layers.enumerated() {
      for i in 0..<rows {
        for j in 0..<d {
          matrix[l * rows + i, j] = Double(states[layer][first + i, j]) - mean[j]
        }
      }
    }
    return matrix
  }
}
