/// ℝⁿ as a solver uses it: vectors are rows of a matrix, whole, or each member of a team holds a range of their elements.
///
/// With whole vectors every operation is the plain one, without a copy or a call. In a team each costs one sum over the
/// members, whatever the number of vectors, and its results are the same to the bit in every member. No operation squares
/// what it normalises, so vectors may have any scale.
public struct VectorSpace: Sendable {
  /// n.
  public let dimension: Int
  /// The elements held by each member.
  public let ranges: [Range<Int>]
  /// The elements held here.
  public let held: Range<Int>
  private let team: (any InnerProducts)?

  /// ℝⁿ with whole vectors.
  public init(dimension: Int) { self.init(holding: dimension, in: nil) }

  /// The space of vectors of which this member of the team holds `count` elements, after those of the members before it;
  /// without a team, ℝ^count.
  public init(holding count: Int, in team: (any InnerProducts)?) {
    let (members, member) = (team?.members ?? 1, team?.member ?? 0)
    var counts = [Double](repeating: 0, count: members)
    counts[member] = Double(count)
    counts.withUnsafeMutableBufferPointer { team?.sum($0) }
    var ranges: [Range<Int>] = []
    for count in counts {
      let start = ranges.last?.upperBound ?? 0
      ranges.append(start..<start + Int(count))
    }
    self.team = team
    self.ranges = ranges
    held = ranges[member]
    dimension = ranges[members - 1].upperBound
  }

  /// Whether this process holds whole vectors.
  public var isWhole: Bool { team == nil }

  /// The team; nil for whole vectors.
  public var innerProducts: (any InnerProducts)? { team }

  /// The sums over the members.
  package func summed(_ values: [Double]) -> [Double] {
    guard let team else { return values }
    var values = values
    values.withUnsafeMutableBufferPointer { team.sum($0) }
    return values
  }

  /// The sum over the members.
  package func summed(_ matrix: Matrix<Double>) -> Matrix<Double> {
    guard !isWhole else { return matrix }
    return Matrix(
      rows: matrix.rows, columns: matrix.columns, elements: summed(matrix.elements))
  }

  /// The first member's numbers in every member.
  ///
  /// For what every member computes from the same bits, but perhaps on another processor: a different rounding may turn a
  /// decision, or the basis that LAPACK chooses for values that are close.
  package func agreed(_ values: [Double]) -> [Double] {
    guard let team else { return values }
    return summed(team.member == 0 ? values : Array(repeating: 0, count: values.count))
  }

  /// The first member's number in every member.
  package func agreed(_ value: Double) -> Double { isWhole ? value : agreed([value])[0] }

  /// The inner products of all rows of `a` with all rows of `b`, A Bᵀ.
  package func inner(_ a: Matrix<Double>, _ b: Matrix<Double>) -> Matrix<Double> {
    summed(Matrix.product(a, .none, b, .transposed))
  }

  /// ‖row‖ of every row.
  package func norms(_ rows: Matrix<Double>) -> [Double] {
    let own = rows.rowNorms
    guard let team else { return own }
    // Row i: the norms of its parts, whose squares could overflow.
    var parts = Matrix<Double>(rows: own.count, columns: team.members)
    for (i, norm) in own.enumerated() { parts[i, team.member] = norm }
    return summed(parts).rowNorms
  }

  /// The part held here of vectors that are whole in every member.
  package func part(of whole: Matrix<Double>) -> Matrix<Double> {
    guard !isWhole else { return whole }
    var part = Matrix<Double>(rows: whole.rows, columns: held.count)
    for i in 0..<whole.rows {
      for (j, element) in held.enumerated() { part[i, j] = whole[i, element] }
    }
    return part
  }

  /// The whole vectors, in every member.
  package func gathered(_ part: Matrix<Double>) -> Matrix<Double> {
    guard !isWhole else { return part }
    var whole = Matrix<Double>(rows: part.rows, columns: dimension)
    for i in 0..<part.rows {
      for (j, element) in held.enumerated() { whole[i, element] = part[i, j] }
    }
    return summed(whole)
  }

  /// Independent standard normal vectors: the same ones however many members there are.
  package func normalVectors(
    _ count: Int, using generator: inout SeededGenerator
  ) -> Matrix<Double> {
    part(of: generator.normalMatrix(rows: count, columns: dimension))
  }

  /// Some vectors in coordinates that are few, the same in every member, and keep all inner products.
  ///
  /// Each member factors its part Y = L Q (`Matrix.orthonormalizedRows`); the coordinates are the L of all members side by
  /// side: a tall-skinny QR factorisation with one reduction, as stable as Householder's, also for dependent vectors
  /// (Demmel, Grigori, Hoemmen, Langou, "Communication-optimal parallel and sequential QR and LU factorizations", SIAM
  /// J. Sci. Comput. 34, 2012). Whole vectors are their own coordinates.
  package func compressed(_ y: Matrix<Double>) -> CompressedVectors {
    guard let team else { return CompressedVectors(coordinates: y, factor: nil) }
    let b = y.rows
    let lengths = ranges.map { min(b, $0.count) }
    let start = lengths.prefix(team.member).reduce(0, +)
    let own = lengths[team.member]
    let q = own < b ? Matrix<Double>.identity(own) : y.orthonormalizedRows()
    let l = own < b ? y : Matrix.product(y, .none, q, .transposed)
    var coordinates = Matrix<Double>(rows: b, columns: lengths.reduce(0, +))
    for i in 0..<b { for j in 0..<own { coordinates[i, start + j] = l[i, j] } }
    return CompressedVectors(
      coordinates: summed(coordinates), factor: (columns: start..<start + own, q))
  }
}

/// Vectors in the coordinates of `VectorSpace.compressed`.
package struct CompressedVectors {
  /// The coordinates (b, c) of the b vectors.
  package let coordinates: Matrix<Double>
  /// The coordinates that belong to this member and the orthonormal Q that they multiply; nil for whole vectors.
  fileprivate let factor: (columns: Range<Int>, q: Matrix<Double>)?

  /// The part held here of the vectors with these coordinates (w, c).
  package func expanded(_ coordinates: Matrix<Double>) -> Matrix<Double> {
    guard let (columns, q) = factor else { return coordinates }
    var own = Matrix<Double>(rows: coordinates.rows, columns: columns.count)
    for i in 0..<own.rows {
      for (j, column) in columns.enumerated() { own[i, j] = coordinates[i, column] }
    }
    return .product(own, .none, q)
  }
}
