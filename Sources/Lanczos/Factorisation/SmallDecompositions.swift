import LinearAlgebra

// Decompositions of the small matrices that every member of a team holds. All use the first member's: on other processors
// LAPACK may choose another basis for values that are close, and the parts of a combination would not fit together.
extension VectorSpace {
  /// The thin singular value decomposition (`Matrix.singularValueDecomposition`).
  func singularValueDecomposition(
    _ a: Matrix<Double>
  ) throws(LAPACKError) -> (left: Matrix<Double>, values: [Double], right: Matrix<Double>) {
    let (left, values, right) = try a.singularValueDecomposition()
    guard !isWhole else { return (left, values, right) }
    let numbers = agreed(left.elements + values + right.elements)
    let (l, r) = (left.elements.count, right.elements.count)
    return (
      Matrix(rows: left.rows, columns: left.columns, elements: Array(numbers.prefix(l))),
      Array(numbers[l..<numbers.count - r]),
      Matrix(rows: right.rows, columns: right.columns, elements: Array(numbers.suffix(r)))
    )
  }

  /// The `count` largest eigenvalues of a symmetric matrix, with their vectors (`Matrix.largestEigenpairs`).
  func largestEigenpairs(
    of a: Matrix<Double>, _ count: Int
  ) throws(LAPACKError) -> (values: [Double], vectors: Matrix<Double>) {
    let (values, vectors) = try a.largestEigenpairs(count)
    guard !isWhole else { return (values, vectors) }
    let numbers = agreed(values + vectors.elements)
    return (
      Array(numbers.prefix(values.count)),
      Matrix(
        rows: vectors.rows, columns: vectors.columns,
        elements: Array(numbers.dropFirst(values.count)))
    )
  }
}

extension Matrix where Scalar == Double {
  /// ‖A‖₂.
  func spectralNorm() throws(LAPACKError) -> Double {
    try singularValues().first ?? 0
  }

  /// The matrix grown to a larger shape, with zeros in the new places.
  func resized(rows r: Int, columns c: Int) -> Matrix {
    var result = Matrix(rows: r, columns: c)
    for i in 0..<rows {
      result.elements.replaceSubrange(i * c..<i * c + columns, with: row(i))
    }
    return result
  }

  /// The matrix without its first rows and columns.
  func dropping(rows r: Int, columns c: Int) -> Matrix {
    var result = Matrix(rows: rows - r, columns: columns - c)
    for i in r..<rows { for j in c..<columns { result[i - r, j - c] = self[i, j] } }
    return result
  }
}
