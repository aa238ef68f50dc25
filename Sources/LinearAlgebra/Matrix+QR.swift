import COpenBLAS

extension Matrix where Scalar == Double {
  /// An orthonormal basis of the span of the rows, as rows: the Q of Householder QR of Aᵀ (`dgeqrf`, `dorgqr`).
  ///
  /// Needs rows ≤ columns. A dependent row still yields a unit vector orthogonal to the others, so the result always
  /// has all its rows.
  public func orthonormalizedRows() -> Matrix {
    precondition(rows <= columns, "more vectors than dimensions")
    guard rows > 0 else { return self }
    var q = self
    // Row-major (rows, columns) is column-major (columns, rows): its columns are our rows.
    var (m, n) = (blasInt(columns), blasInt(rows))
    var tau = [Double](repeating: 0, count: rows)
    var info: Int32 = 0
    var query = 0.0
    var size: Int32 = -1
    dgeqrf_(&m, &n, &q.elements, &m, &tau, &query, &size, &info)
    size = max(Int32(query), 1)
    var work = [Double](repeating: 0, count: Int(size))
    dgeqrf_(&m, &n, &q.elements, &m, &tau, &work, &size, &info)
    dorgqr_(&m, &n, &n, &q.elements, &m, &tau, &work, &size, &info)
    return q
  }
}
