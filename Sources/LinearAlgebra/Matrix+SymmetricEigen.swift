import COpenBLAS

extension Matrix where Scalar == Double {
  /// The `count` largest eigenvalues of a symmetric matrix, descending, and their vectors (count, n) as rows, by LAPACK
  /// `dsyevr`. Cost 4/3 n³ for the reduction, O(n² · count) beyond.
  package func largestEigenpairs(_ count: Int) throws(LAPACKError) -> (
    values: [Double], vectors: Matrix
  ) {
    precondition(rows == columns && count >= 0 && count <= rows, "\(count) of \(rows) × \(columns)")
    guard count > 0 else { return ([], Matrix(rows: 0, columns: columns)) }
    var a = elements
    var n = blasInt(rows)
    var (first, last) = (n - blasInt(count) + 1, n)  // LAPACK counts from the smallest, from 1
    var (unused, tolerance) = (0.0, 0.0)
    var found: Int32 = 0
    var values = [Double](repeating: 0, count: rows)
    var vectors = Matrix(rows: count, columns: rows)
    var support = [Int32](repeating: 0, count: 2 * rows)
    var work = [0.0]
    var integers: [Int32] = [0]
    var (size, integerSize): (Int32, Int32) = (-1, -1)
    var info: Int32 = 0
    // Once for the sizes of the work arrays, once for the work.
    for _ in 0..<2 {
      dsyevr_(
        "V", "I", "U", &n, &a, &n, &unused, &unused, &first, &last, &tolerance, &found, &values,
        &vectors.elements, &n, &support, &work, &size, &integers, &integerSize, &info)
      guard info == 0 else { throw LAPACKError(routine: "dsyevr", info: Int(info)) }
      guard size < 0 else { break }
      (size, integerSize) = (Int32(work[0]), integers[0])
      work = Array(repeating: 0, count: Int(size))
      integers = Array(repeating: 0, count: Int(integerSize))
    }
    guard Int(found) == count else { throw LAPACKError(routine: "dsyevr", info: Int(found)) }
    var descending = Matrix(rows: count, columns: rows)
    for i in 0..<count {
      descending.elements.replaceSubrange(
        i * rows..<(i + 1) * rows, with: vectors.row(count - 1 - i))
    }
    return (values.prefix(count).reversed(), descending)
  }
}
