import COpenBLAS

/// Whether a factor enters a product as it is or transposed.
public enum Transposition: Sendable {
  case none
  case transposed
  var blas: CBLAS_TRANSPOSE { self == .none ? CblasNoTrans : CblasTrans }
}

extension Matrix where Scalar == Double {
  /// op(A) · op(B) by `dgemm`.
  public static func product(
    _ a: Matrix, _ opA: Transposition = .none, _ b: Matrix, _ opB: Transposition = .none
  ) -> Matrix {
    let (m, k) = opA == .none ? (a.rows, a.columns) : (a.columns, a.rows)
    let (k2, n) = opB == .none ? (b.rows, b.columns) : (b.columns, b.rows)
    precondition(k == k2, "inner dimensions \(k) and \(k2)")
    var c = Matrix(rows: m, columns: n)
    guard m > 0, n > 0, k > 0 else { return c }
    c.elements.withUnsafeMutableBufferPointer {
      cblas_dgemm(
        CblasRowMajor, opA.blas, opB.blas, blasInt(m), blasInt(n), blasInt(k), 1, a.elements,
        blasInt(a.columns), b.elements, blasInt(b.columns), 0, $0.baseAddress, blasInt(n))
    }
    return c
  }

  /// A − B.
  public static func - (a: Matrix, b: Matrix) -> Matrix {
    precondition(a.rows == b.rows && a.columns == b.columns, "the shapes of a difference differ")
    return Matrix(
      rows: a.rows, columns: a.columns, elements: zip(a.elements, b.elements).map { $0 - $1 })
  }

  /// A Aᵀ (rows, rows), or Aᵀ A (columns, columns) with `.transposed` first: half the cost of a product.
  public func gram(_ operation: Transposition = .none) -> Matrix {
    let n = operation == .none ? rows : columns
    var result = Matrix(rows: n, columns: n)
    guard n > 0, rows * columns > 0 else { return result }
    result.elements.withUnsafeMutableBufferPointer {
      cblas_dsyrk(
        CblasRowMajor, CblasUpper, operation.blas, blasInt(n),
        blasInt(operation == .none ? columns : rows), 1, elements, blasInt(columns), 0,
        $0.baseAddress, blasInt(n))
    }
    for i in 0..<n { for j in 0..<i { result[i, j] = result[j, i] } }
    return result
  }
}
