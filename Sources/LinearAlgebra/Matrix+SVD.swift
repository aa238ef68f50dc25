import COpenBLAS

extension Matrix where Scalar == Double {
  /// A thin singular value decomposition A = Σ σᵢ uᵢ vᵢᵀ: `left` (r, m) and `right` (r, n), r = min(m, n), vectors as rows; σ
  /// descending.
  public typealias SVD = (left: Matrix, values: [Double], right: Matrix)

  /// LAPACK's ways to decompose.
  package enum SVDRoutine: String, CaseIterable, Sendable {
    /// Divide and conquer.
    case dgesdd
    /// QR iteration, several times slower.
    case dgesvd
  }

  /// The thin singular value decomposition.
  ///
  /// By divide and conquer, which on rare finite matrices with many equal values does not converge; by QR iteration then.
  /// Throws `LAPACKError` if a number is not finite. Cost O(m n r).
  public func singularValueDecomposition() throws(LAPACKError) -> SVD {
    try Self.firstConverged { routine throws(LAPACKError) in
      try singularValueDecomposition(by: routine)
    }
  }

  /// The singular values alone, descending.
  package func singularValues() throws(LAPACKError) -> [Double] {
    try Self.firstConverged { routine throws(LAPACKError) in
      try singularValues(by: routine)
    }
  }

  /// What the first routine that converges returns.
  package static func firstConverged<Result>(
    _ decompose: (SVDRoutine) throws(LAPACKError) -> Result
  ) throws(LAPACKError) -> Result {
    do {
      return try decompose(.dgesdd)
    } catch {
      guard error.isFinite else { throw error }
      return try decompose(.dgesvd)
    }
  }

  /// The thin singular value decomposition by one routine.
  package func singularValueDecomposition(
    by routine: SVDRoutine
  ) throws(LAPACKError) -> SVD {
    let (left, values, right) = try decompose(.thin, by: routine)
    return (left.transposed, values, right)
  }

  /// The singular values alone by one routine.
  package func singularValues(by routine: SVDRoutine) throws(LAPACKError) -> [Double] {
    try decompose(.valuesAlone, by: routine).values
  }

  /// What LAPACK calls its job.
  private enum Job: String {
    case thin = "S"
    case valuesAlone = "N"
  }

  /// The singular values; with `thin`, right vectors (r, n) as rows, and left ones (m, r) as columns.
  private func decompose(
    _ job: Job, by routine: SVDRoutine
  ) throws(LAPACKError) -> SVD {
    let r = min(rows, columns)
    // Row-major A is column-major Aᵀ = V S Uᵀ: what LAPACK calls U is our V, stored with our rows as its columns,
    // and what it calls VT (r, m) column-major is U (m, r) row-major.
    var right = job == .thin ? Matrix(rows: r, columns: columns) : Matrix(rows: 0, columns: 0)
    var left = job == .thin ? Matrix(rows: rows, columns: r) : Matrix(rows: 0, columns: 0)
    guard r > 0 else { return (left, [], right) }
    var a = elements
    var values = [Double](repeating: 0, count: r)
    var (m, n, order) = (blasInt(columns), blasInt(rows), blasInt(r))
    var integers = [Int32](repeating: 0, count: routine == .dgesdd ? 8 * r : 0)
    var work = [0.0]
    var size: Int32 = -1
    var info: Int32 = 0
    // The first call asks for the size of the work array, the second does the work.
    for _ in 0..<2 {
      switch routine {
      case .dgesdd:
        dgesdd_(
          job.rawValue, &m, &n, &a, &m, &values, &right.elements, &m, &left.elements, &order, &work,
          &size, &integers, &info)
      case .dgesvd:
        dgesvd_(
          job.rawValue, job.rawValue, &m, &n, &a, &m, &values, &right.elements, &m, &left.elements,
          &order, &work, &size, &info)
      }
      guard info == 0 else {
        throw LAPACKError(
          routine: routine.rawValue, info: Int(info), isFinite: elements.allSatisfy(\.isFinite))
      }
      guard size < 0 else { break }
      size = Int32(work[0])
      work = Array(repeating: 0, count: Int(size))
    }
    return (left, values, right)
  }
}
