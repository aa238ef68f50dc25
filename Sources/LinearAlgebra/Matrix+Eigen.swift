import COpenBLAS
package import ComplexModule
package import RealModule

/// Eigenvalues and eigenvectors x = a + i b, with aᵢ in row i of `realParts` and bᵢ in row i of `imaginaryParts`.
package struct DenseEigenpairs: Sendable {
  /// λ, in descending order of modulus.
  package var values: [Complex<Double>]
  package var realParts: Matrix<Double>
  package var imaginaryParts: Matrix<Double>

  /// The first `count` eigenpairs in descending order of modulus, the member of a pair with the positive imaginary
  /// part first.
  ///
  /// `pairs` holds the eigenvalues with imaginary parts ≥ 0 only, each with its vector: as in LAPACK and ARPACK, the
  /// other member of a pair is its exact conjugate.
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
  /// The `count` eigenpairs of largest modulus of a square matrix, with vectors of norm 1, by LAPACK `dgeev`, which
  /// computes them all.
  ///
  /// Cost: about 25 n³.
  package func largestModulusEigenpairs(_ count: Int) throws(LAPACKError) -> DenseEigenpairs {
    precondition(rows == columns, "\(rows) × \(columns) is not square")
    precondition(count <= rows, "\(count) eigenpairs of a matrix of order \(rows)")
    // LAPACK may never return from a NaN.
    guard elements.allSatisfy(\.isFinite) else {
      throw LAPACKError(routine: "dgeev", info: -4, isFinite: false)
    }
    guard rows > 0 else { return DenseEigenpairs([], count: 0, order: 0) }
    // Row-major A is column-major Aᵀ. From uᴴ Aᵀ = λ uᴴ follows A ū = λ ū: we need the conjugates of its left
    // eigenvectors.
    var a = self
    var n = blasInt(rows)
    var real = [Double](repeating: 0, count: rows)
    var imaginary = real
    var vectors = self
    var unused = 0.0
    var work = [0.0]
    var size: Int32 = -1
    var info: Int32 = 0
    // The first call asks for the size of the work array, the second does the work.
    for _ in 0..<2 {
      var one: Int32 = 1
      dgeev_(
        "V", "N", &n, &a.elements, &n, &real, &imaginary, &vectors.elements, &n, &unused, &one,
        &work, &size, &info)
      guard info == 0 else {
        throw LAPACKError(routine: "dgeev", info: Int(info), isFinite: true)
      }
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
