import COpenBLAS

extension Matrix where Scalar == Double {
  /// The eigenvalues of a symmetric matrix, descending, and its orthonormal eigenvectors as rows, by LAPACK `dsyevd`.
  ///
  /// Only one triangle is read. Cost O(n³).
  package func symmetricEigenpairs() throws(LAPACKError) -> (values: [Double], vectors: Matrix) {
    precondition(rows == columns, "\(rows) × \(columns) is not square")
    guard rows > 0 else { return ([], self) }
    var vectors = self
    var n = blasInt(rows)
    var values = [Double](repeating: 0, count: rows)
    var work = [0.0]
    var integers: [Int32] = [0]
    var (size, integerSize): (Int32, Int32) = (-1, -1)
    var info: Int32 = 0
    // Once for the sizes of the work arrays, once for the work.
    for _ in 0..<2 {
      dsyevd_(
        "V", "U", &n, &vectors.elements, &n, &values, &work, &size, &integers, &integerSize, &info)
      guard info == 0 else { throw LAPACKError(routine: "dsyevd", info: Int(info)) }
      guard size < 0 else { break }
      (size, integerSize) = (Int32(work[0]), integers[0])
      work = Array(repeating: 0, count: Int(size))
      integers = Array(repeating: 0, count: Int(integerSize))
    }
    var descending = Matrix(rows: rows, columns: rows)
    for i in 0..<rows {
      descending.elements.replaceSubrange(
        i * rows..<(i + 1) * rows, with: vectors.row(rows - 1 - i))
    }
    return (values.reversed(), descending)
  }
}
