import COpenBLAS
public import LinearAlgebra
import Weights

/// A growing list of orthonormal vectors of ℝⁿ, as rows: what a Krylov method orthogonalises against.
///
/// Blocks are orthogonalised by two passes of classical block Gram–Schmidt, with matrix products throughout; a second
/// pass after normalisation makes them orthogonal to rounding (Barlow and Smoktunowicz, "Reorthogonalized block
/// classical Gram–Schmidt", Numer. Math. 123, 2013). In a team, each member holds its elements of the vectors, and a block
/// takes seven sums over the members, however many vectors there are.
public struct OrthonormalBasis: Sendable {
  /// The space of the vectors.
  public let space: VectorSpace
  /// The vectors, one after another, as far as they are held here.
  public private(set) var elements: [Double] = []
  /// The number of vectors.
  public private(set) var count = 0

  /// An empty basis of ℝⁿ, with whole vectors.
  public init(dimension: Int) { self.init(of: VectorSpace(dimension: dimension)) }

  /// An empty basis of a space.
  public init(of space: VectorSpace) { self.space = space }

  /// n, the dimension of the space.
  public var dimension: Int { space.dimension }

  /// The number of elements of a vector held here.
  private var length: Int { space.held.count }

  /// The vectors from index `start` on, (count − start, n).
  public func vectors(from start: Int) -> Matrix<Double> {
    Matrix(rows: count - start, columns: length, elements: Array(elements[(start * length)...]))
  }

  /// P · B for P (l, count): l combinations of the vectors, (l, n).
  public func combinations(_ p: Matrix<Double>) -> Matrix<Double> {
    precondition(p.columns <= count, "more coefficients than vectors")
    var result = Matrix<Double>(rows: p.rows, columns: length)
    guard p.rows > 0, p.columns > 0, length > 0 else { return result }
    result.elements.withUnsafeMutableBufferPointer {
      cblas_dgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, blasInt(p.rows), blasInt(length),
        blasInt(p.columns), 1, p.elements, blasInt(p.columns), elements, blasInt(length), 0,
        $0.baseAddress, blasInt(length))
    }
    return result
  }

  /// Replaces the first `p.columns` vectors by the combinations P (orthonormal rows) of them; the others follow,
  /// unchanged.
  public mutating func compress(_ p: Matrix<Double>) {
    let kept = combinations(p).elements
    elements.replaceSubrange(0..<p.columns * length, with: kept)
    count += p.rows - p.columns
  }

  /// Extends the basis by the part of Y (b, n) outside it: Y = C B + R Q, with B the old basis and Q the w vectors
  /// appended.
  ///
  /// Always w = min(b, n − count) vectors are appended: where Y has fewer independent directions left, random ones
  /// fill up, which no row of Y contains (their column of R is zero). C (b, count), R (b, w). Cost: 8 b n count
  /// flops.
  @discardableResult
  public mutating func append(
    _ block: Matrix<Double>, using generator: inout SeededGenerator
  ) -> (onto: Matrix<Double>, beyond: Matrix<Double>) {
    precondition(block.columns == length, "the vectors have another dimension")
    let width = min(block.rows, dimension - count)
    var y = block
    let before = space.norms(y)
    let c1 = project(&y)
    var (q, r1) = orthonormalized(y, against: before, limit: width)
    if q.rows < width {
      var random = space.normalVectors(width - q.rows, using: &generator)
      _ = project(&random)
      q = Matrix(rows: width, columns: length, elements: q.elements + random.elements)
      r1 = r1.widened(to: width)
    }
    let c2 = project(&q)
    let (unit, r2) = orthonormalized(
      q, against: Array(repeating: 0, count: width), limit: width)
    // Y = C₁ B + R₁ Q₁ and Q₁ = C₂ B + R₂ Q.
    var onto = c1
    let correction = Matrix.product(r1, .none, c2)
    for i in onto.elements.indices { onto.elements[i] += correction.elements[i] }
    makeRoom(for: unit.rows)
    elements += unit.elements
    count += unit.rows
    return (onto, .product(r1, .none, r2))
  }

  /// Grows the memory by a quarter when it is full. An array doubles it, and since the sizes freed until then are never enough for the
  /// next one, they would add up to as much again in gaps.
  private mutating func makeRoom(for vectors: Int) {
    let needed = count + vectors
    guard needed * length > elements.capacity else { return }
    elements.reserveCapacity(min(needed + max(32, needed / 4), dimension) * length)
  }

  /// Y ← Y − (Y Bᵀ) B, returning Y Bᵀ (b, count).
  private func project(_ y: inout Matrix<Double>) -> Matrix<Double> {
    guard space.isWhole else {
      let basis = Matrix(rows: count, columns: length, elements: elements)
      let c = space.inner(y, basis)
      y = y - .product(c, .none, basis)
      return c
    }
    var c = Matrix<Double>(rows: count, columns: y.rows)
    elements.withUnsafeBufferPointer { basis in
      guard let base = basis.baseAddress else { return }
      Engine.projectOut(
        base, count: count, dimension: length, from: &y.elements, vectors: y.rows,
        coefficients: &c.elements)
    }
    return c.transposed
  }

  /// Factors Y = R Q within one block; in a team, in few coordinates, by the first member.
  private func orthonormalized(
    _ y: Matrix<Double>, against reference: [Double], limit: Int
  ) -> (q: Matrix<Double>, r: Matrix<Double>) {
    let compressed = space.compressed(y)
    let (q, r) = Self.factored(compressed.coordinates, against: reference, limit: limit)
    guard !space.isWhole else { return (q, r) }
    // The number of vectors, then both matrices with room for all.
    let (b, c) = (y.rows, q.columns)
    let numbers = space.agreed(
      [Double(q.rows)] + q.elements + [Double](repeating: 0, count: (limit - q.rows) * c)
        + r.widened(to: limit).elements)
    let rank = Int(numbers[0])
    let common = Matrix(rows: rank, columns: c, elements: Array(numbers[1..<1 + rank * c]))
    let factor = Matrix(
      rows: b, columns: limit, elements: Array(numbers[(1 + limit * c)...]))
    return (compressed.expanded(common), factor.narrowed(to: rank))
  }

  /// Factors Y = R Q, row after row by Gram–Schmidt.
  ///
  /// A row is projected a second time if the first took half of it or more (Daniel, Gragg, Kaufman, Stewart,
  /// "Reorthogonalization and stable algorithms for updating the Gram-Schmidt QR factorization", Math. Comp. 30,
  /// 1976). A row that keeps less than 100 ε of its `reference` norm is dependent and adds no vector to Q.
  private static func factored(
    _ y: Matrix<Double>, against reference: [Double], limit: Int
  ) -> (q: Matrix<Double>, r: Matrix<Double>) {
    let (b, n) = (y.rows, y.columns)
    // One more row than Q has, for the row in work.
    var q = [Double](repeating: 0, count: (limit + 1) * n)
    var r = Matrix<Double>(rows: b, columns: limit)
    var coefficients = [Double](repeating: 0, count: limit)
    var accepted = 0
    q.withUnsafeMutableBufferPointer { q in
      guard n > 0, let base = q.baseAddress else { return }
      for i in 0..<b {
        let row = base + accepted * n
        y.row(i).withUnsafeBufferPointer { row.update(from: $0.baseAddress!, count: n) }
        var norm = cblas_dnrm2(blasInt(n), row, 1)
        for _ in 0..<2 where accepted > 0 {
          let before = norm
          Engine.projectOut(
            base, count: accepted, dimension: n, from: row, vectors: 1,
            coefficients: &coefficients)
          for j in 0..<accepted { r[i, j] += coefficients[j] }
          norm = cblas_dnrm2(blasInt(n), row, 1)
          if norm > 0.5 * before { break }
        }
        guard accepted < limit, norm > 100 * Double.ulpOfOne * reference[i] else { continue }
        for j in 0..<n { row[j] /= norm }
        r[i, accepted] = norm
        accepted += 1
      }
    }
    q.removeLast((limit + 1 - accepted) * n)
    return (Matrix(rows: accepted, columns: n, elements: q), r.narrowed(to: accepted))
  }
}
