import COpenBLAS
package import ComplexModule
package import RealModule

/// Eigenvalues and eigenvectors x = a + i b, row i of `realParts` being aᵢ and that of `imaginaryParts` bᵢ.
package struct DenseEigenpairs: Sendable {
  /// λ, by falling modulus.
  package var values: [Complex<Double>]
  package var realParts: Matrix<Double>
  package var imaginaryParts: Matrix<Double>

  /// By falling modulus, of a pair the one with the positive imaginary part first, the first `count` of them.
  ///
  /// What is given has the two of a pair side by side, exactly conjugate, as LAPACK and ARPACK have it: as the eigenvalues
  /// with imaginary parts ≥ 0 alone, each with its vector.
  package init(
    _ pairs: [(value: Complex<Double>, real: ArraySlice<Double>, imaginary: ArraySlice<Double>?)],
    count: Int, order n: Int
  ) {
    let sorted = pairs.enumerated().sorted {
      let (a, b) = ($0.element.value.length, $1.element.value.length)
      return a == b ? $0.offset < $1.offset : a > b
    }
    (values, realParts, imaginaryParts) = (
      [], Matrix(rows: 0, columns: n), Matrix(rows: 0, columns: n)
    )
    var (real, imaginary): ([Double], [Double]) = ([], [])
    let zeros = [Double](repeating: 0, count: n)
    for (_, pair) in sorted where values.count < count {
      values.append(pair.value)
      real += pair.real
      imaginary += pair.imaginary ?? zeros[...]
      guard let b = pair.imaginary, values.count < count else { continue }
      values.append(pair.value.conjugate)
      real += pair.real
      imaginary += b.map { -$0 }
    }
    realParts = Matrix(rows: values.count, columns: n, elements: real)
    imaginaryParts = Matrix(rows: values.count, columns: n, elements: imaginary)
  }
}

extension Matrix where Scalar == Double {
  /// The `count` eigenpairs of largest modulus of a square matrix, vectors of norm 1, by LAPACK `dgeev`, which finds them
  /// all.
  ///
  /// Cost about 25 n³.
  package func largestModulusEigenpairs(_ count: Int) throws(LAPACKError) -> DenseEigenpairs {
    precondition(rows == columns, "\(rows) × \(columns) is not square")
    precondition(count <= rows, "\(count) eigenpairs of a matrix of order \(rows)")
    // LAPACK itself may not come back from a NaN.
    guard elements.allSatisfy(\.isFinite) else { throw LAPACKError(routine: "dgeev", info: -4) }
    guard rows > 0 else { return DenseEigenpairs([], count: 0, order: 0) }
    // Row-major A is column-major Aᵀ; from uᴴ Aᵀ = λ uᴴ follows A ū = λ ū: its left eigenvectors, conjugated.
    var a = self
    var n = blasInt(rows)
    var real = [Double](repeating: 0, count: rows)
    var imaginary = real
    var vectors = self
    var unused = 0.0
    var work = [0.0]
    var size: Int32 = -1
    var info: Int32 = 0
    // Once for the size of the work array, once for the work.
    for _ in 0..<2 {
      var one: Int32 = 1
      dgeev_(
        "V", "N", &n, &a.elements, &n, &real, &imaginary, &vectors.elements, &n, &unused, &one,
        &work, &size, &info)
      guard info == 0 else { throw LAPACKError(routine: "dgeev", info: Int(info)) }
      guard size < 0 else { break }
      size = Int32(work[0])
      work = Array(repeating: 0, count: Int(size))
    }
    let pairs = (0..<rows).filter { imaginary[$0] >= 0 }.map { i in
      (
        value: Complex(real[i], imaginary[i]), real: vectors.row(i),
        imaginary: imaginary[i] > 0 ? vectors.row(i + 1).map { -$0 }[...] : nil
      )
    }
    return DenseEigenpairs(pairs, count: count, order: rows)
  }
}
