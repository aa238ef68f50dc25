import CKernels
package import LinearAlgebra

extension Engine {
  /// The products of all rows of B (count, n) and of Y (b, n), B Yᵀ (count, b): for few long rows sooner than BLAS, whose kernels are
  /// for larger matrices. The same to the bit for any number of threads.
  package static func products(
    ofRows basis: Matrix<Double>, _ y: Matrix<Double>
  ) -> Matrix<Double> {
    precondition(basis.columns == y.columns, "rows of \(basis.columns) and \(y.columns) numbers")
    var products = Matrix<Double>(rows: basis.rows, columns: y.rows)
    let (count, n, b) = (Int64(basis.rows), Int64(basis.columns), Int64(y.rows))
    ck_dots(current, basis.elements, count, n, y.elements, b, &products.elements)
    return products
  }
}
