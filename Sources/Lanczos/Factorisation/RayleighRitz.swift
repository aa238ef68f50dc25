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
  /// A V (k, m), and Aᵀ U (k, n) after `measure`, from which the residual norms are; nil if they were not kept.
  private(set) var images: Matrix<Double>?
  private(set) var adjointImages: Matrix<Double>?
  /// The spaces of U and V.
  private(set) var leftSpace: VectorSpace
  private(set) var rightSpace: VectorSpace

  /// Triplets from orthonormal V (k, n) and W = A V (k, m), k ≤ m.
  public init(right v: Matrix<Double>, products w: Matrix<Double>) throws(LAPACKError) {
    try self.init(
      right: v, VectorSpace(dimension: v.columns), products: w, VectorSpace(dimension: w.columns))
  }

  /// Triplets from orthonormal V (k, n) and W = A V (k, m), k ≤ m, in these spaces.
  init(
    right v: Matrix<Double>, _ rightSpace: VectorSpace, products w: Matrix<Double>,
    _ leftSpace: VectorSpace
  ) throws(LAPACKError) {
    (self.leftSpace, self.rightSpace) = (leftSpace, rightSpace)
    // W = Σ σᵢ lᵢ uᵢᵀ with lᵢ ∈ ℝᵏ the rows of `rotation`: lᵢᵀ V are the rotated right vectors, lᵢᵀ W their products.
    let compressed = leftSpace.compressed(w)
    let (rotation, sigma, u) = try leftSpace.singularValueDecomposition(compressed.coordinates)
    values = sigma
    left = compressed.expanded(u)
    right = .product(rotation, .none, v)
    let images = Matrix<Double>.product(rotation, .none, w)
    residualNorms = Self.distances(images, sigma, left, leftSpace)
    self.images = images
  }

  /// Triplets found elsewhere, with whole vectors, with A V for the first half of their residual norms.
  init(
    values: [Double], left: Matrix<Double>, right: Matrix<Double>, products w: Matrix<Double>
  ) {
    self.values = values
    self.left = left
    self.right = right
    (leftSpace, rightSpace) = (
      VectorSpace(dimension: left.columns), VectorSpace(dimension: right.columns)
    )
    residualNorms = Self.distances(w, values, left, leftSpace)
    images = w
  }

  /// Triplets whose residual norms are known.
  init(
    values: [Double], left: Matrix<Double>, _ leftSpace: VectorSpace, right: Matrix<Double>,
    _ rightSpace: VectorSpace, residualNorms: [Double]
  ) {
    self.values = values
    self.left = left
    self.right = right
    (self.leftSpace, self.rightSpace) = (leftSpace, rightSpace)
    self.residualNorms = residualNorms
  }

  /// Completes the residual norms with X = Aᵀ U (k, n).
  public mutating func measure(adjointProducts x: Matrix<Double>) {
    residualNorms = zip(residualNorms, Self.distances(x, values, right, rightSpace)).map(max)
    adjointImages = x
  }

  /// The first k triplets.
  func prefix(_ k: Int) -> RitzTriplets {
    var first = RitzTriplets(
      values: Array(values.prefix(k)), left: left.prefix(k), leftSpace, right: right.prefix(k),
      rightSpace, residualNorms: Array(residualNorms.prefix(k)))
    (first.images, first.adjointImages) = (images?.prefix(k), adjointImages?.prefix(k))
    return first
  }

  /// √(Σ ‖residual‖²) over the first k triplets: an upper bound of the norm of their residual matrix.
  func residualNorm(_ k: Int) -> Double {
    let largest = residualNorms.prefix(k).max() ?? 0
    guard largest > 0 else { return 0 }
    return largest
      * residualNorms.prefix(k).reduce(0) { $0 + ($1 / largest) * ($1 / largest) }.squareRoot()
  }

  /// The products that were measured, if both were kept.
  var products: TripletProducts? {
    guard let images, let adjointImages else { return nil }
    return TripletProducts(images: images, adjointImages: adjointImages)
  }

  /// The triplets of Aᵀ.
  var flipped: RitzTriplets {
    var result = self
    (result.left, result.right) = (right, left)
    (result.leftSpace, result.rightSpace) = (rightSpace, leftSpace)
    (result.images, result.adjointImages) = (adjointImages, images)
    return result
  }

  /// The same triplets with whole vectors.
  var gathered: RitzTriplets {
    var whole = RitzTriplets(
      values: values, left: leftSpace.gathered(left),
      VectorSpace(dimension: leftSpace.dimension), right: rightSpace.gathered(right),
      VectorSpace(dimension: rightSpace.dimension), residualNorms: residualNorms)
    whole.images = images.map(leftSpace.gathered)
    whole.adjointImages = adjointImages.map(rightSpace.gathered)
    return whole
  }

  /// ‖xᵢ − σᵢ yᵢ‖ for each row i.
  private static func distances(
    _ x: Matrix<Double>, _ sigma: [Double], _ y: Matrix<Double>, _ space: VectorSpace
  ) -> [Double] {
    let n = x.columns
    let squares = sigma.indices.map { i in
      var sum = 0.0
      for j in i * n..<(i + 1) * n {
        let d = x.elements[j] - sigma[i] * y.elements[j]
        sum += d * d
      }
      return sum
    }
    return space.summed(squares).map { $0.squareRoot() }
  }
}
