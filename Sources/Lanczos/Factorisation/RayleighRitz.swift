public import LinearAlgebra

/// Approximate triplets computed from right vectors V and their products W = A V (rows), then measured.
///
/// One-sided Rayleigh–Ritz: the SVD Wᵀ = Uᵀ Σ Q gives A (Q V) = Σ U to rounding, the best triplets with right vectors
/// in that span, without squaring. What remains to be measured is the distance of Aᵀ U from Σ V.
public struct RitzTriplets: Sendable {
  /// σ (k), descending.
  public private(set) var values: [Double]
  /// U (k, m), orthonormal.
  public private(set) var left: Matrix<Double>
  /// V (k, n), orthonormal.
  public private(set) var right: Matrix<Double>
  /// max(‖A v − σ u‖, ‖Aᵀ u − σ v‖) (k); only the first of the two before `measure`.
  public private(set) var residualNorms: [Double]

  /// Triplets from orthonormal V (k, n) and W = A V (k, m), k ≤ m.
  public init(right v: Matrix<Double>, products w: Matrix<Double>) throws(LAPACKError) {
    // W = Σ σᵢ lᵢ uᵢᵀ with lᵢ ∈ ℝᵏ the rows of `rotation`: lᵢᵀ V are the rotated right vectors, lᵢᵀ W their products.
    let (rotation, sigma, u) = try w.singularValueDecomposition()
    values = sigma
    left = u
    right = .product(rotation, .none, v)
    residualNorms = Self.distances(.product(rotation, .none, w), sigma, u)
  }

  /// Triplets found elsewhere, with A V for the first half of their residual norms.
  init(
    values: [Double], left: Matrix<Double>, right: Matrix<Double>, products w: Matrix<Double>
  ) {
    self.values = values
    self.left = left
    self.right = right
    residualNorms = Self.distances(w, values, left)
  }

  /// Triplets whose residual norms are known.
  init(
    values: [Double], left: Matrix<Double>, right: Matrix<Double>, residualNorms: [Double]
  ) {
    self.values = values
    self.left = left
    self.right = right
    self.residualNorms = residualNorms
  }

  /// Completes the residual norms with X = Aᵀ U (k, n).
  public mutating func measure(adjointProducts x: Matrix<Double>) {
    residualNorms = zip(residualNorms, Self.distances(x, values, right)).map(max)
  }

  /// The first k triplets.
  func prefix(_ k: Int) -> RitzTriplets {
    RitzTriplets(
      values: Array(values.prefix(k)), left: left.prefix(k), right: right.prefix(k),
      residualNorms: Array(residualNorms.prefix(k)))
  }

  /// √(Σ ‖residual‖²) over the first k triplets: an upper bound of the norm of their residual matrix.
  func residualNorm(_ k: Int) -> Double {
    let largest = residualNorms.prefix(k).max() ?? 0
    guard largest > 0 else { return 0 }
    return largest
      * residualNorms.prefix(k).reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
  }

  /// The triplets of Aᵀ.
  var flipped: RitzTriplets {
    var result = self
    (result.left, result.right) = (right, left)
    return result
  }

  /// ‖xᵢ − σᵢ yᵢ‖ for each row i.
  private static func distances(
    _ x: Matrix<Double>, _ sigma: [Double], _ y: Matrix<Double>
  ) -> [Double] {
    let n = x.columns
    return sigma.indices.map { i in
      var sum = 0.0
      for j in i * n..<(i + 1) * n {
        let d = x.elements[j] - sigma[i] * y.elements[j]
        sum += d * d
      }
      return sum.squareRoot()
    }
  }
}
