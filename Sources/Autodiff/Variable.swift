import LinearAlgebra

/// A row-major matrix inside a program that is being evaluated, and possibly differentiated.
///
/// A variable computed from the input of `linearize` is active: its tangent is computed with it. One made from a
/// `Matrix` is a constant: everything computed from constants alone is evaluated and never recorded, so the same
/// function serves as plain forward pass and as differentiable program.
public struct Variable<Scalar: RealScalar> {
  /// The number of rows: points (tokens, samples). Primitives act on each row separately unless documented otherwise:
  /// attention, convolutions and recurrences mix the rows of a sequence; `rows` and `scatter` move them.
  public let rows: Int
  /// The number of columns: features.
  public let columns: Int
  package let buffer: Buffer<Scalar>
  /// The trace and the position of this variable on it; nil for a constant.
  package let node: (trace: Trace<Scalar>, position: Int)?

  package init(
    rows: Int, columns: Int, buffer: Buffer<Scalar>,
    node: (trace: Trace<Scalar>, position: Int)? = nil
  ) {
    self.rows = rows
    self.columns = columns
    self.buffer = buffer
    self.node = node
  }

  /// A constant with the value of `matrix`.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public init(_ matrix: Matrix<Scalar>) {
    let buffer = Buffer<Scalar>(count: matrix.rows * matrix.columns)
    for r in 0..<matrix.rows {
      for c in 0..<matrix.columns { buffer.base[c * matrix.rows + r] = matrix[r, c] }
    }
    self.init(rows: matrix.rows, columns: matrix.columns, buffer: buffer)
  }

  /// The value, as a copy.
  public var value: Matrix<Scalar> { value(ofRows: 0..<rows) }

  /// The value of some rows, as a copy.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func value(ofRows range: Range<Int>) -> Matrix<Scalar> {
    precondition(range.upperBound <= rows, "rows \(range) of \(rows)")
    let elements = [Scalar](unsafeUninitializedCapacity: range.count * columns) { to, count in
      for (i, r) in range.enumerated() {
        for c in 0..<columns {
          to.initializeElement(at: i * columns + c, to: buffer.base[c * rows + r])
        }
      }
      count = range.count * columns
    }
    return Matrix(rows: range.count, columns: columns, elements: elements)
  }

  /// Whether the variable is active, that is, has a tangent.
  public var isActive: Bool { node != nil }

  /// The same value as a constant, with derivative 0.
  public var detached: Variable { Variable(rows: rows, columns: columns, buffer: buffer) }

  package var count: Int { rows * columns }
  package var position: Int? { node?.position }
}

/// Whether two variables denote the same node or share the same constant value.
package func isSame<S>(_ a: Variable<S>, _ b: Variable<S>) -> Bool {
  a.buffer === b.buffer && a.position == b.position && a.node?.trace === b.node?.trace
}

extension Variable {
  /// Whether every number is finite.
  public var isFinite: Bool {
    // 0 · x is 0 for a finite x and NaN otherwise, and sums preserve NaN: one pass without a branch.
    var sum: Scalar = 0
    for i in 0..<count { sum += 0 * buffer.base[i] }
    return sum == 0
  }
}
