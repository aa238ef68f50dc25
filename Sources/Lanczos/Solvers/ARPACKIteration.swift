import CARPACK
import LinearAlgebra

/// One run of ARPACK's reverse communication: the `count` largest eigenpairs of a symmetric positive semidefinite G
/// of order n, known by its products.
///
/// One lock is held from the first `dsaupd` to `dseupd`.
struct ARPACKIteration {
  let order: Int
  let count: Int
  let subspaceDimension: Int
  let restarts: Int
  /// In terms of σ = √λ: ‖G v − λ v‖ / σ ≤ tolerance · σ₁.
  let tolerance: Double
  let seed: UInt64

  /// What came out.
  struct Result {
    /// The eigenvectors of the `count` largest eigenvalues (count, n), orthonormal, ascending as ARPACK gives them.
    let vectors: Matrix<Double>
    /// Restarts made.
    let restarts: Int
    /// Whether ARPACK's own test was met by all of them.
    let isConverged: Bool
  }

  /// Runs; `product` writes G x into its second argument.
  func run(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    try ARPACKWorkspace.exclusively { try iterate(product) }
  }

  private func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    let (n, ncv) = (order, subspaceDimension)
    let work = ARPACKWorkspace(
      order: n, subspaceDimension: ncv, smallWork: ncv * (ncv + 8), restarts: restarts, seed: seed)
    let size = Int32(ncv * (ncv + 8))
    var test = tolerance
    try work.iterate(product) {
      dsaupd_c(
        &work.ido, "I", Int32(n), "LA", Int32(count), test, work.residual, Int32(ncv), work.basis,
        Int32(n), &work.parameters, &work.pointers, work.vectorWork, work.smallWork, size,
        &work.info)
    } afterProduct: {
      test = relativeTest(values: work.small(6), bounds: work.small(7))
    }

    let isConverged = try work.hasConverged(count, by: "dsaupd")

    // Every wanted pair is asked for, converged or not, by a test that all of them pass: residual norms are measured
    // afterwards, and the best available triplets are a better answer than fewer of them.
    work.parameters[4] = Int32(count)
    var values = [Double](repeating: 0, count: count)
    var vectors = Matrix<Double>(rows: count, columns: n)
    let selection = [Int32](repeating: 0, count: ncv)
    let made = work.restartsMade
    work.info = 0
    dseupd_c(
      1, "A", selection, &values, &vectors.elements, Int32(n), 0, "I", Int32(n), "LA",
      Int32(count), 1e200, work.residual, Int32(ncv), work.basis, Int32(n), &work.parameters,
      &work.pointers, work.vectorWork, work.smallWork, size, &work.info)
    guard work.info == 0 else { throw ARPACKError(routine: "dseupd", info: Int(work.info)) }
    return Result(vectors: vectors, restarts: made, isConverged: isConverged)
  }

  /// The `tol` to hand to ARPACK, whose test is ‖G v − λ v‖ ≤ tol · λ for each wanted λ.
  ///
  /// Wanted instead is ‖G v − λ v‖ ≤ τ(λ) = tolerance · σ₁ · max(σ, tolerance · σ₁): for σ ≪ σ₁ the relative test asks
  /// for more than single precision has, and for λ ≈ 0 it is never met. ARPACK reads `tol` anew at every restart, so it
  /// is given the smallest τ(λ)/λ among those λ that did not yet meet τ at the last one.
  private func relativeTest(
    values: UnsafePointer<Double>, bounds: UnsafePointer<Double>
  ) -> Double {
    var pairs = (0..<subspaceDimension).map { (value: values[$0], bound: bounds[$0]) }
    pairs.sort { $0.value > $1.value }
    let largest = pairs[0].value
    guard largest > 0 else { return tolerance }
    return pairs.prefix(count).reduce(1e200) { smallest, pair in
      let sigma = max(pair.value, 0).squareRoot()
      let wanted = tolerance * largest.squareRoot() * max(sigma, tolerance * largest.squareRoot())
      guard pair.bound > wanted else { return smallest }
      return min(smallest, wanted / max(pair.value, Double.ulpOfOne * largest))
    }
  }
}
