import COpenBLAS

extension Matrix where Scalar == Double {
  /// The `count` largest eigenvalues of a symmetric matrix, descending, and their orthonormal eigenvectors as rows, by
  /// LAPACK.
  ///
  /// The values come from the tridiagonal form by QR (`dsytrd`, `dsterf`), the vectors by inverse iteration (`dstein`),
  /// which is 1.75 times as fast as `dsyevr`'s bisection. Only one triangle is read. Cost: 4/3 n³ for the tridiagonal form,
  /// O(n²) for the values, O(count n²) for the vectors. `dsyevd` computes them all if more than half are requested or
  /// inverse iteration does not converge.
  package func largestEigenpairs(
    _ count: Int
  ) throws(LAPACKError) -> (values: [Double], vectors: Matrix) {
    precondition(rows == columns, "\(rows) × \(columns) is not square")
    precondition(count <= rows, "\(count) eigenpairs of a matrix of order \(rows)")
    guard count > 0 else { return ([], Matrix(rows: 0, columns: columns)) }
    // LAPACK may never return from a NaN.
    guard elements.allSatisfy(\.isFinite) else {
      throw LAPACKError(routine: "dsytrd", info: -3, isFinite: false)
    }
    guard 2 * count <= rows, let pairs = try pairsByInverseIteration(count) else {
      return try allEigenpairs(largest: count)
    }
    return pairs
  }

  /// The pairs computed one vector at a time; nil if inverse iteration does not converge for one of them.
  private func pairsByInverseIteration(
    _ count: Int
  ) throws(LAPACKError) -> (values: [Double], vectors: Matrix)? {
    // A power of two keeps inverse iteration from over- and underflow.
    let size = elements.reduce(0) { Swift.max($0, abs($1)) }
    guard size > 0 else { return nil }
    let scale = Double(sign: .plus, exponent: -Swift.max(size.exponent, -1000), significand: 1)
    var a = elements.map { scale * $0 }
    var (n, k, info) = (blasInt(rows), blasInt(count), Int32(0))
    var diagonal = [Double](repeating: 0, count: rows)
    var (beside, reflectors) = (diagonal, diagonal)
    // 32 is LAPACK's block size of both dsytrd and dormtr.
    var work = [Double](repeating: 0, count: 64 * 65 + 32 * rows)
    var size32 = Int32(work.count)
    dsytrd_("U", &n, &a, &n, &diagonal, &beside, &reflectors, &work, &size32, &info)
    guard info == 0 else {
      throw LAPACKError(routine: "dsytrd", info: Int(info), isFinite: true)
    }
    var (values, rest) = (diagonal, beside)
    dsterf_(&n, &values, &rest, &info)
    guard info == 0 else {
      throw LAPACKError(routine: "dsterf", info: Int(info), isFinite: true)
    }
    var chosen = Array(values.suffix(count))
    // All values belong to one block that ends in row n.
    var (blocks, ends) = ([Int32](repeating: 1, count: count), [n])
    var failed = [Int32](repeating: 0, count: count)
    var integers = [Int32](repeating: 0, count: rows)
    var vectors = Matrix(rows: count, columns: rows)
    dstein_(
      &n, &diagonal, &beside, &k, &chosen, &blocks, &ends, &vectors.elements, &n, &work, &integers,
      &failed, &info)
    guard info == 0 else { return nil }
    dormtr_(
      "L", "U", "N", &n, &k, &a, &n, &reflectors, &vectors.elements, &n, &work, &size32, &info)
    guard info == 0 else {
      throw LAPACKError(routine: "dormtr", info: Int(info), isFinite: true)
    }
    return Self.descending(chosen.map { $0 / scale }[...], vectors)
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
      guard info == 0 else {
        throw LAPACKError(routine: "dsyevd", info: Int(info), isFinite: true)
      }
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
