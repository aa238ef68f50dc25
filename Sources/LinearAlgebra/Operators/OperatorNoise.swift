/// The size of E = Ã − A, the difference between the operator Ã that a solve applied and the operator A that is
/// meant: rounding of the products, and of the point and the saved values of a linearization. Relative to σ₁.
public struct OperatorNoise: Sendable, Equatable, Codable {
  /// A bound of ‖E v‖ and ‖Eᵀ u‖ for unit vectors in the span of the leading singular vectors.
  public var products: Double
  /// A bound of |uᵀ E v| for such vectors: the part of E that stays in their span.
  public var entries: Double

  /// Creates a noise with both numbers relative to σ₁.
  public init(products: Double, entries: Double) {
    self.products = products
    self.entries = entries
  }

  /// No noise: the operator applied is the one that is meant.
  public static let none = OperatorNoise(products: 0, entries: 0)

  /// The factor by which the largest difference in a sample is multiplied, to cover vectors outside the sample.
  ///
  /// Rounding errors of a product are sums of many small ones: their norms vary little from vector to vector. Single
  /// entries are about normal, and hundreds of them stay below 3 times the largest of a few dozen.
  public static let safetyFactor = 3.0
  /// The same factor for entries, which are sampled more thinly: the error of a value is one entry, usually not in
  /// the sample.
  public static let entryFactor = 6.0
}

extension OperatorNoise {
  /// The noise of the operator that was solved, `applied`, relative to a twin that computes the same more precisely.
  ///
  /// It is estimated from a sample: Ã and A are both applied to six right vectors (the first two found v, the last
  /// two, and two random unit combinations of all found ones), Ãᵀ and Aᵀ to six left ones chosen alike; further
  /// triplets count as found. `products` is the largest norm of a difference times `safetyFactor`, `entries` the
  /// largest |uₐᵀ E v| and |v_bᵀ Eᵀ u| over all found u and v times `entryFactor`, both over σ₁. This takes two
  /// applications of each operator. `.none` if σ₁ is 0, since there is no size to compare with.
  ///
  /// Throws `OperatorError` if a product is not finite. Precondition: the two have the same shape.
  public init(
    of applied: any LinearOperator, against meant: any LinearOperator, triplets: SingularTriplets,
    seed: UInt64 = 0
  ) throws(OperatorError) {
    precondition(
      applied.inputDimension == meant.inputDimension
        && applied.outputDimension == meant.outputDimension, "the two operators differ in shape")
    let (a, twin) = (CheckedOperator(applied), CheckedOperator(meant))
    try self.init(triplets, seed: seed) { direction, sample throws(OperatorError) in
      let x = sample.of(triplets.all(direction))
      return try a.products(direction, of: x, width: x.rows)
        - twin.products(direction, of: x, width: x.rows)
    }
  }

  /// The noise of the operator that was solved, relative to a twin, from the products that the solve has measured. Those of the
  /// sample are the same combinations of them that its vectors are of the found ones: the errors of products add up in the same way.
  /// This takes two applications of the twin.
  ///
  /// Throws `OperatorError` if a product is not finite. Precondition: the shapes fit.
  package init(
    of products: TripletProducts, against meant: any LinearOperator, triplets: SingularTriplets,
    seed: UInt64 = 0
  ) throws(OperatorError) {
    let twin = CheckedOperator(meant)
    try self.init(triplets, seed: seed) { direction, sample throws(OperatorError) in
      let x = sample.of(triplets.all(direction))
      return try sample.of(direction == .forward ? products.images : products.adjointImages)
        - twin.products(direction, of: x, width: x.rows)
    }
  }

  /// The noise of an operator that has no twin: that of its rounding alone, measured by its deviation from linearity.
  ///
  /// E x is estimated by A (α x) / α − A x, with α not a power of two, so that the same products are rounded
  /// differently: the difference of two samples of the rounding, hence about √2 of its norm. The vectors are those
  /// used with a twin. Errors that both products share go unseen: the rounding of a linearization's point and saved
  /// values, and of weights.
  ///
  /// Throws `OperatorError` if a product is not finite.
  public init(
    ofRoundingIn applied: any LinearOperator, triplets: SingularTriplets, seed: UInt64 = 0
  ) throws(OperatorError) {
    let a = CheckedOperator(applied)
    try self.init(triplets, seed: seed) { direction, sample throws(OperatorError) in
      let x = sample.of(triplets.all(direction))
      return try a.roundings(
        direction, of: x, products: a.products(direction, of: x, width: x.rows))
    }
  }

  private init(
    _ triplets: SingularTriplets, seed: UInt64,
    difference: (ProductDirection, NoiseCombinations) throws(OperatorError) -> Matrix<Double>
  ) throws(OperatorError) {
    let largest = triplets.singularValues.first ?? 0
    guard largest > 0 else {
      self = .none
      return
    }
    var random = SeededGenerator(seed: seed)
    let (right, left) = (triplets.all(.forward), triplets.all(.adjoint))
    let forward = try difference(.forward, NoiseCombinations(of: right.rows, using: &random))
    let backward = try difference(.adjoint, NoiseCombinations(of: left.rows, using: &random))
    let norms = forward.rowNorms + backward.rowNorms
    let inside =
      Matrix.product(forward, .none, left, .transposed).elements
      + Matrix.product(backward, .none, right, .transposed).elements
    let products = Self.safetyFactor / largest * (norms.max() ?? 0)
    let entries = Self.entryFactor / largest * inside.reduce(0) { max($0, abs($1)) }
    // |uᵀ E v| ≤ ‖E v‖.
    self.init(products: products, entries: min(entries, products))
  }
}

/// The combinations of found vectors that are sampled: the first two, the last two, and two random unit combinations of all.
private struct NoiseCombinations {
  /// The found vectors that are taken as they are.
  private let ends: [Int]
  /// The random combinations (2, count).
  private let weights: Matrix<Double>

  /// Those of `count` orthonormal vectors.
  init(of count: Int, using random: inout SeededGenerator) {
    var weights = random.normalMatrix(rows: 2, columns: count)
    let norms = weights.rowNorms
    for i in 0..<2 { for j in 0..<count { weights[i, j] /= norms[i] } }
    self.weights = weights
    ends = Set([0, 1, count - 2, count - 1]).filter { (0..<count).contains($0) }.sorted()
  }

  /// The combinations of these rows.
  func of(_ x: Matrix<Double>) -> Matrix<Double> {
    Matrix(ends.map { Array(x.row($0)) }).stacked(.product(weights, .none, x))
  }
}

extension SingularTriplets {
  /// All found vectors that are applied in this direction: V or U, further ones included.
  fileprivate func all(_ direction: ProductDirection) -> Matrix<Double> {
    direction == .forward
      ? rightVectors.stacked(further?.rightVectors) : leftVectors.stacked(further?.leftVectors)
  }
}

extension Matrix where Scalar == Double {
  /// These rows, followed by those of `other`.
  fileprivate func stacked(_ other: Matrix?) -> Matrix {
    guard let other, other.rows > 0 else { return self }
    return Matrix(
      rows: rows + other.rows, columns: columns, elements: elements + other.elements)
  }
}
