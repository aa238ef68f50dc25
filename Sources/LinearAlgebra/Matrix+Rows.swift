import COpenBLAS

extension Matrix where Scalar == Double {
  /// ‖row‖ of every row.
  package var rowNorms: [Double] {
    elements.withUnsafeBufferPointer { all in
      (0..<rows).map { i in
        all.baseAddress.map { cblas_dnrm2(blasInt(columns), $0 + i * columns, 1) } ?? 0
      }
    }
  }

  /// The first `count` columns.
  package func narrowed(to count: Int) -> Matrix {
    guard count < columns else { return self }
    var result = Matrix(rows: rows, columns: count)
    for i in 0..<rows { for j in 0..<count { result[i, j] = self[i, j] } }
    return result
  }

  /// Zero columns appended up to `count`.
  package func widened(to count: Int) -> Matrix {
    guard count > columns else { return self }
    var result = Matrix(rows: rows, columns: count)
    for i in 0..<rows { for j in 0..<columns { result[i, j] = self[i, j] } }
    return result
  }
}
