import COpenBLAS

/// A stored dense matrix as an operator, for tests and small problems.
public final class DenseOperator: LinearOperator {
  /// The matrix A (m, n).
  public let matrix: Matrix<Double>

  /// The operator x ↦ A x.
  public init(_ matrix: Matrix<Double>) { self.matrix = matrix }

  /// n, the length of an input.
  public var inputDimension: Int { matrix.columns }
  /// m, the length of an output.
  public var outputDimension: Int { matrix.rows }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    multiply(v, CblasTrans, into: &y, vectors: b)  // (b, n) · (m, n)ᵀ
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    multiply(u, CblasNoTrans, into: &x, vectors: b)  // (b, m) · (m, n)
  }

  private func multiply(
    _ v: Span<Double>, _ op: CBLAS_TRANSPOSE, into y: inout MutableSpan<Double>, vectors b: Int
  ) {
    let (inner, outer) =
      op == CblasTrans ? (matrix.columns, matrix.rows) : (matrix.rows, matrix.columns)
    v.withUnsafeBufferPointer { source in
      y.withUnsafeMutableBufferPointer { target in
        cblas_dgemm(
          CblasRowMajor, CblasNoTrans, op, blasInt(b), blasInt(outer), blasInt(inner), 1,
          source.baseAddress, blasInt(inner), matrix.elements, blasInt(matrix.columns), 0,
          target.baseAddress, blasInt(outer))
      }
    }
  }
}
