import COpenBLAS

/// A LAPACK routine failed: the matrix contains NaN, or the iteration did not converge.
public struct LAPACKError: Error, CustomStringConvertible, Sendable {
  /// The routine that failed.
  public let routine: String
  /// The `info` it returned.
  public let info: Int
  /// What is wrong and what to do.
  public var description: String {
    "LAPACK's \(routine) failed (info = \(info)); the operator probably returned NaN or infinity"
  }
}

extension Matrix where Scalar == Double {
  /// The thin singular value decomposition A = Σ σᵢ uᵢ vᵢᵀ by LAPACK `dgesdd`, σ descending.
  ///
  /// `left` (r, m) and `right` (r, n), r = min(m, n): rows are vectors. Cost O(m n r).
  public func singularValueDecomposition() throws(LAPACKError) -> (
    left: Matrix, values: [Double], right: Matrix
  ) {
    let r = min(rows, columns)
    guard r > 0 else {
      return (Matrix(rows: 0, columns: rows), [], Matrix(rows: 0, columns: columns))
    }
    // Row-major A is column-major Aᵀ = V S Uᵀ: what LAPACK calls U is our V, stored with our rows as its columns,
    // and what it calls VT (r, m) column-major is U (m, r) row-major.
    var a = elements
    var values = [Double](repeating: 0, count: r)
    var right = Matrix(rows: r, columns: columns)
    var left = Matrix(rows: rows, columns: r)
    var (m, n, order) = (blasInt(columns), blasInt(rows), blasInt(r))
    var integers = [Int32](repeating: 0, count: 8 * r)
    var info: Int32 = 0
    var query = 0.0
    var size: Int32 = -1
    dgesdd_(
      "S", &m, &n, &a, &m, &values, &right.elements, &m, &left.elements, &order, &query, &size,
      &integers, &info)
    size = Int32(query)
    var work = [Double](repeating: 0, count: Int(size))
    dgesdd_(
      "S", &m, &n, &a, &m, &values, &right.elements, &m, &left.elements, &order, &work, &size,
      &integers, &info)
    guard info == 0 else { throw LAPACKError(routine: "dgesdd", info: Int(info)) }
    return (left.transposed, values, right)
  }

  /// The singular values alone, descending.
  package func singularValues() throws(LAPACKError) -> [Double] {
    let r = min(rows, columns)
    guard r > 0 else { return [] }
    var a = elements
    var values = [Double](repeating: 0, count: r)
    var (m, n, one) = (blasInt(columns), blasInt(rows), blasInt(1))
    var integers = [Int32](repeating: 0, count: 8 * r)
    var info: Int32 = 0
    var (query, u, v) = (0.0, 0.0, 0.0)
    var size: Int32 = -1
    dgesdd_(
      "N", &m, &n, &a, &m, &values, &u, &one, &v, &one, &query, &size, &integers, &info)
    size = Int32(query)
    var work = [Double](repeating: 0, count: Int(size))
    dgesdd_(
      "N", &m, &n, &a, &m, &values, &u, &one, &v, &one, &work, &size, &integers, &info)
    guard info == 0 else { throw LAPACKError(routine: "dgesdd", info: Int(info)) }
    return values
  }
}
