import COpenBLAS
public import LinearAlgebra
import Weights

/// A growing list of orthonormal vectors of ℝⁿ, as rows: what a Krylov method orthogonalises against.
///
/// Blocks are orthogonalised by two passes of classical block Gram–Schmidt, with matrix products throughout; a second
/// pass after normalisation makes them orthogonal to rounding (Barlow and Smoktunowicz, "Reorthogonalized block
/// classical Gram–Schmidt", Numer. Math. 123, 2013).
public struct OrthonormalBasis: Sendable {
  /// n, the dimension of the space.
  public let dimension: Int
  /// The vectors, one after another.
  public private(set) var elements: [Double] = []
  /// The number of vectors.
  public private(set) var count = 0

  /// An empty basis of ℝⁿ.
  public init(dimension: Int) { self.dimension = dimension }

  /// The vectors from index `start` on, (count − start, n).
  public func vectors(from start: Int) -> Matrix<Double> {
    Matrix(
      rows: count - start, columns: dimension, elements: Array(elements[(start * dimension)...]))
  }

  /// P · B for P (l, count): l combinations of the vectors, (l, n).
  public func combinations(_ p: Matrix<Double>) -> Matrix<Double> {
    precondition(p.columns <= count, "more coefficients than vectors")
    var result = Matrix<Double>(rows: p.rows, columns: dimension)
    guard p.rows > 0, p.columns > 0 else { return result }
    result.elements.withUnsafeMutableBufferPointer {
      cblas_dgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, blasInt(p.rows), blasInt(dimension),
        blasInt(p.columns), 1, p.elements, blasInt(p.columns), elements, blasInt(dimension), 0,
        $0.baseAddress, blasInt(dimension))
    }
    return result
  }

  /// Replaces the first `p.columns` vectors by the combinations P (orthonormal rows) of them; the others follow,
  /// unchanged.
  public mutating func compress(_ p: Matrix<Double>) {
    let kept = combinations(p).elements
    elements.replaceSubrange(0..<p.columns * dimension, with: kept)
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
    precondition(block.columns == dimension, "the vectors have another dimension")
    let width = min(block.rows, dimension - count)
    var y = block
    let before = y.rowNorms
    let c1 = project(&y)
    var (q, r1) = Self.orthonormalized(y, against: before, limit: width)
    if q.rows < width {
      var random = generator.normalMatrix(rows: width - q.rows, columns: dimension)
      _ = project(&random)
      q = Matrix(rows: width, columns: dimension, elements: q.elements + random.elements)
      r1 = r1.widened(to: width)
    }
    let c2 = project(&q)
    let (unit, r2) = Self.orthonormalized(
      q, against: Array(repeating: 0, count: width), limit: width)
    // Y = C₁ B + R₁ Q₁ and Q₁ = C₂ B + R₂ Q.
    var onto = c1
    let correction = Matrix.product(r1, .none, c2)
    for i in onto.elements.indices { onto.elements[i] += correction.elements[i] }
    elements += unit.elements
    count += unit.rows
    return (onto, .product(r1, .none, r2))
  }

  /// Y ← Y − (Y Bᵀ) B, returning Y Bᵀ (b, count).
  private func project(_ y: inout Matrix<Double>) -> Matrix<Double> {
    var c = Matrix<Double>(rows: count, columns: y.rows)
    elements.withUnsafeBufferPointer { basis in
      guard let base = basis.baseAddress else { return }
      Engine.projectOut(
        base, count: count, dimension: dimension, from: &y.elements, vectors: y.rows,
        coefficients: &c.elements)
    }
    return c.transposed
  }

  /// Factors Y = R Q within one block, row after row by Gram–Schmidt, projecting each row twice.
  ///
  /// A row that keeps less than 100 ε of its `reference` norm is dependent and adds no vector to Q.
  private static func orthonormalized(
    _ y: Matrix<Double>, against reference: [Double], limit: Int
  ) -> (q: Matrix<Double>, r: Matrix<Double>) {
    let (b, n) = (y.rows, y.columns)
    var q = [Double](repeating: 0, count: limit * n)
    var r = Matrix<Double>(rows: b, columns: limit)
    var accepted = 0
    q.withUnsafeMutableBufferPointer { q in
      var coefficients = [Double](repeating: 0, count: limit)
      for i in 0..<b {
        var row = Array(y.row(i))
        if accepted > 0, let base = q.baseAddress {
          for _ in 0..<2 {
            Engine.projectOut(
              base, count: accepted, dimension: n, from: &row, vectors: 1,
              coefficients: &coefficients)
            for j in 0..<accepted { r[i, j] += coefficients[j] }
          }
        }
        let norm = cblas_dnrm2(blasInt(n), row, 1)
        guard accepted < limit, norm > 100 * Double.ulpOfOne * reference[i] else { continue }
        for j in 0..<n { q[accepted * n + j] = row[j] / norm }
        r[i, accepted] = norm
        accepted += 1
      }
    }
    return (
      Matrix(rows: accepted, columns: n, elements: Array(q.prefix(accepted * n))),
      r.narrowed(to: accepted)
    )
  }
}
