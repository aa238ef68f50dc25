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
    precondition(a.rows == b.rows && a.columns == b.columns, "shapes differ")
    return Matrix(
      rows: a.rows, columns: a.columns, elements: zip(a.elements, b.elements).map { $0 - $1 })
  }
}
