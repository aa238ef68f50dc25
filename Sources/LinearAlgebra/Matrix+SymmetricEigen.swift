import COpenBLAS

extension Matrix where Scalar == Double {
  /// The `count` largest eigenvalues of a symmetric matrix, descending, and their orthonormal eigenvectors as rows,
  /// by LAPACK `dsyevr`.
  ///
  /// Only one triangle is read. Cost: 4/3 n³ for the tridiagonal form, O(count n²) for the eigenvectors. For some
  /// matrices that equal the identity up to rounding, `dsyevr` finds too few pairs and still reports success;
  /// `dsyevd` then computes them all.
  package func largestEigenpairs(
    _ count: Int
  ) throws(LAPACKError) -> (values: [Double], vectors: Matrix) {
    precondition(rows == columns, "\(rows) × \(columns) is not square")
    precondition(count <= rows, "\(count) eigenpairs of a matrix of order \(rows)")
    guard count > 0 else { return ([], Matrix(rows: 0, columns: columns)) }
    // LAPACK may never return from a NaN.
    guard elements.allSatisfy(\.isFinite) else { throw LAPACKError(routine: "dsyevr", info: -6) }
    var a = self
    var n = blasInt(rows)
    var (first, last, found) = (blasInt(rows - count + 1), blasInt(rows), Int32(0))
    var (low, high, tolerance) = (0.0, 0.0, 0.0)
    var values = [Double](repeating: 0, count: rows)
    var vectors = Matrix(rows: count, columns: rows)
    var support = [Int32](repeating: 0, count: 2 * count)
    var work = [0.0]
    var integers: [Int32] = [0]
    var (size, integerSize): (Int32, Int32) = (-1, -1)
    var info: Int32 = 0
    // The first call asks for the sizes of the work arrays, the second does the work.
    for _ in 0..<2 {
      dsyevr_(
        "V", "I", "U", &n, &a.elements, &n, &low, &high, &first, &last, &tolerance, &found, &values,
        &vectors.elements, &n, &support, &work, &size, &integers, &integerSize, &info)
      guard info == 0 else { throw LAPACKError(routine: "dsyevr", info: Int(info)) }
      guard size < 0 else { break }
      (size, integerSize) = (Int32(work[0]), integers[0])
      work = Array(repeating: 0, count: Int(size))
      integers = Array(repeating: 0, count: Int(integerSize))
    }
    guard Int(found) == count else { return try allEigenpairs(largest: count) }
    return Self.descending(values.prefix(count), vectors)
  }

  /// All eigenpairs by LAPACK `dsyevd`, cut to `count`; costs at most 9 n³, however few are requested.
  private func allEigenpairs(
    largest count: Int
  ) throws(LAPACKError) -> (values: [Double], vectors: Matrix) {
    var vectors = self
    var n = blasInt(rows)
    var values = [Double](repeating: 0, count: rows)
    var work = [0.0]
    var integers: [Int32] = [0]
    var (size, integerSize): (Int32, Int32) = (-1, -1)
    var info: Int32 = 0
    for _ in 0..<2 {
      dsyevd_(
        "V", "U", &n, &vectors.elements, &n, &values, &work, &size, &integers, &integerSize, &info)
      guard info == 0 else { throw LAPACKError(routine: "dsyevd", info: Int(info)) }
      guard size < 0 else { break }
      (size, integerSize) = (Int32(work[0]), integers[0])
      work = Array(repeating: 0, count: Int(size))
      integers = Array(repeating: 0, count: Int(integerSize))
    }
    return Self.descending(values.suffix(count), vectors.rows(rows - count..<rows))
  }

  /// The same pairs in descending order; LAPACK's order is ascending.
  private static func descending(
    _ values: ArraySlice<Double>, _ vectors: Matrix
  ) -> (values: [Double], vectors: Matrix) {
    let elements = (0..<vectors.rows).reversed().flatMap { vectors.row($0) }
    return (
      values.reversed(),
      Matrix(rows: vectors.rows, columns: vectors.columns, elements: elements)
    )
  }
}
