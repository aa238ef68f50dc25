/// A dense matrix, row-major: element (i, j) at `elements[i · columns + j]`.
///
/// A Fortran column is a row here, so a list of vectors is a matrix with the vectors as rows, and nothing is
/// transposed on the way to LAPACK or ARPACK. The members are inlinable, so that loops in other modules are compiled
/// for their precision.
public struct Matrix<Scalar: RealScalar>: Equatable, Sendable {
  /// The number of rows, m.
  public let rows: Int
  /// The number of columns, n.
  public let columns: Int
  /// The m · n numbers, row after row.
  public var elements: [Scalar]

  /// A matrix filled with one number.
  @inlinable public init(rows: Int, columns: Int, repeating value: Scalar = 0) {
    precondition(rows >= 0 && columns >= 0, "a matrix has no negative size")
    self.rows = rows
    self.columns = columns
    elements = Array(repeating: value, count: rows * columns)
  }

  /// A matrix with the given elements, row after row.
  @inlinable public init(rows: Int, columns: Int, elements: [Scalar]) {
    precondition(
      elements.count == rows * columns, "\(elements.count) numbers for \(rows) × \(columns)")
    self.rows = rows
    self.columns = columns
    self.elements = elements
  }

  /// A matrix with the given rows, all of the same length.
  @inlinable public init(_ rows: [[Scalar]]) {
    self.init(rows: rows.count, columns: rows.first?.count ?? 0, elements: rows.flatMap { $0 })
  }

  /// The identity of order n.
  @inlinable public static func identity(_ n: Int) -> Matrix {
    var result = Matrix(rows: n, columns: n)
    for i in 0..<n { result[i, i] = 1 }
    return result
  }

  /// Element (i, j).
  @inlinable public subscript(i: Int, j: Int) -> Scalar {
    get { elements[i * columns + j] }
    set { elements[i * columns + j] = newValue }
  }

  /// Row i.
  @inlinable public func row(_ i: Int) -> ArraySlice<Scalar> {
    elements[i * columns..<(i + 1) * columns]
  }

  /// The first `count` rows.
  @inlinable public func prefix(_ count: Int) -> Matrix {
    count == rows
      ? self
      : Matrix(rows: count, columns: columns, elements: Array(elements[..<(count * columns)]))
  }

  /// The rows in `range`.
  @inlinable public func rows(_ range: Range<Int>) -> Matrix {
    Matrix(
      rows: range.count, columns: columns,
      elements: Array(elements[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// Aᵀ, as a copy.
  @inlinable public var transposed: Matrix {
    var result = Matrix(rows: columns, columns: rows)
    for i in 0..<rows { for j in 0..<columns { result[j, i] = self[i, j] } }
    return result
  }

  /// The same numbers in another precision.
  @_specialize(where Scalar == Float, Other == Double)
  @_specialize(where Scalar == Double, Other == Float)
  @_specialize(where Scalar == Float, Other == Float)
  @inlinable public func converted<Other: RealScalar>(to type: Other.Type) -> Matrix<Other> {
    Matrix<Other>(rows: rows, columns: columns, elements: elements.map { Other($0) })
  }

  /// ‖A‖_F.
  @inlinable public var frobeniusNorm: Scalar {
    // Scaled by the largest entry, so that no square over- or underflows.
    let scale = elements.reduce(0) { max($0, abs($1)) }
    guard scale > 0, scale.isFinite else { return scale }
    return scale * elements.reduce(0) { $0 + ($1 / scale) * ($1 / scale) }.squareRoot()
  }
}
