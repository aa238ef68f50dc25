/// How much the operator that a solve applied differs from the one that is meant, E = Ã − A: rounding of its products, and of
/// the point and the saved values of a linearization. Relative to σ₁.
public struct OperatorNoise: Sendable, Equatable, Codable {
  /// max(‖E v‖, ‖Eᵀ u‖) of unit vectors that lie among the leading singular vectors.
  public var products: Double
  /// |uᵀ E v| for such vectors: the part that stays among them.
  public var entries: Double

  /// Both relative to σ₁.
  public init(products: Double, entries: Double) {
    self.products = products
    self.entries = entries
  }

  /// Of an operator that is what is meant.
  public static let none = OperatorNoise(products: 0, entries: 0)

  /// What the largest difference in a sample is multiplied by, to stand for those that were not looked at.
  ///
  /// Rounding errors of a product are sums of many small ones: their norms vary little from vector to vector, and of single
  /// entries, about normal numbers, hundreds stay below 3 times the largest of a few dozen.
  public static let safetyFactor = 3.0
  /// The same of entries, of which a smaller part is seen: a value's error is one entry, and none of those that were seen.
  public static let entryFactor = 6.0
}

extension OperatorNoise {
  /// The noise of the operator that was solved, `applied`, against a twin that computes the same more precisely.
  ///
  /// A sample: Ã and A are both applied to six right vectors (the first two found v, the last two, two random unit
  /// combinations of all found ones) and Ãᵀ and Aᵀ to six such left ones; further triplets count as found. `products` is
  /// the largest norm of a difference, `entries` the largest |uₐᵀ E v| and |v_bᵀ Eᵀ u| with all found u and v, times
  /// `safetyFactor` and `entryFactor` and over σ₁. Two applications of each operator. `.none` where σ₁ is 0: there is no size to relate to.
  ///
  /// Throws `OperatorError` if a product is not finite. Precondition: the two have one shape.
  public init(
    of applied: any LinearOperator, against meant: any LinearOperator, triplets: SingularTriplets,
    seed: UInt64 = 0
  ) throws(OperatorError) {
    precondition(
      applied.inputDimension == meant.inputDimension
        && applied.outputDimension == meant.outputDimension, "the two operators have one shape")
    let (a, twin) = (CheckedOperator(applied), CheckedOperator(meant))
    try self.init(triplets, seed: seed) { direction, x throws(OperatorError) in
      try a.products(direction, of: x, width: x.rows)
        - twin.products(direction, of: x, width: x.rows)
    }
  }

  /// The noise of an operator that has no twin: of its rounding alone, which shows where a product is no linear map.
  ///
  /// With E x taken to be A (α x) / α − A x, α no power of two, so that the same products are rounded at other places: a
  /// difference of two samples of the rounding, hence about √2 of its norm. The vectors are those of the comparison with a
  /// twin. What both products share is not seen: the rounding of a linearization's point and saved values, and of weights.
  ///
  /// Throws `OperatorError` if a product is not finite.
  public init(
    ofRoundingIn applied: any LinearOperator, triplets: SingularTriplets, seed: UInt64 = 0
  ) throws(OperatorError) {
    let a = CheckedOperator(applied)
    try self.init(triplets, seed: seed) { direction, x throws(OperatorError) in
      try a.roundings(
        direction, of: x, products: a.products(direction, of: x, width: x.rows))
    }
  }

  private init(
    _ triplets: SingularTriplets, seed: UInt64,
    difference: (ProductDirection, Matrix<Double>) throws(OperatorError) -> Matrix<Double>
  ) throws(OperatorError) {
    let largest = triplets.singularValues.first ?? 0
    guard largest > 0 else {
      self = .none
      return
    }
    var random = SeededGenerator(seed: seed)
    let left = triplets.leftVectors.stacked(triplets.further?.leftVectors)
    let right = triplets.rightVectors.stacked(triplets.further?.rightVectors)
    let forward = try difference(.forward, right.sample(using: &random))
    let backward = try difference(.adjoint, left.sample(using: &random))
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

extension Matrix where Scalar == Double {
  /// These rows, and those of `other` after them.
  fileprivate func stacked(_ other: Matrix?) -> Matrix {
    guard let other, other.rows > 0 else { return self }
    return Matrix(
      rows: rows + other.rows, columns: columns, elements: elements + other.elements)
  }

  /// Of orthonormal rows the first two, the last two, and two random unit combinations of all.
  fileprivate func sample(using random: inout SeededGenerator) -> Matrix {
    var weights = random.normalMatrix(rows: 2, columns: rows)
    let norms = weights.rowNorms
    for i in 0..<2 { for j in 0..<rows { weights[i, j] /= norms[i] } }
    let ends = Set([0, 1, rows - 2, rows - 1]).filter { (0..<rows).contains($0) }.sorted()
    let chosen = Matrix(ends.map { Array(row($0)) })
    return chosen.stacked(.product(weights, .none, self))
  }
}
