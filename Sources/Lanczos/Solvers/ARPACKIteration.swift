import CARPACK
import LinearAlgebra

#if MPI
  import CPARPACK
#endif

/// One run of ARPACK's or PARPACK's reverse communication: the `count` largest eigenpairs of a symmetric positive
/// semidefinite G of order n, given by its products.
///
/// It holds ARPACK's lock throughout.
struct ARPACKIteration {
  /// The space of the vectors.
  let space: VectorSpace
  /// MPI's communicator as Fortran knows it, for PARPACK; nil for ARPACK.
  var communicator: Int32?
  let count: Int
  /// The number of further eigenpairs to read from the basis, as far as it has them.
  let further: Int
  let subspaceDimension: Int
  let restarts: Int
  /// The convergence test, with σ = √λ, is ‖G v − λ v‖ / σ ≤ tolerance · σ₁.
  let tolerance: Double
  let seed: UInt64

  /// The result of a run.
  struct Result {
    /// The vectors of the largest Ritz values (count + further, n), orthonormal, in descending order.
    let vectors: Matrix<Double>
    /// The number of restarts made.
    let restarts: Int
    /// Whether the `count` largest met ARPACK's own test.
    let isConverged: Bool
  }

  /// Runs the iteration; `product` writes G x into its second argument.
  func run(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    try ARPACKWorkspace.exclusively { try iterate(product) }
  }

  private func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    let (n, ncv) = (space.held.count, subspaceDimension)
    let work = ARPACKWorkspace(
      of: space, subspaceDimension: ncv, smallWork: ncv * (ncv + 8), restarts: restarts, seed: seed)
    let size = Int32(ncv * (ncv + 8))
    var test = tolerance
    try work.iterate(product) {
      #if MPI
        if let communicator {
          return pdsaupd_c(
            communicator, &work.ido, "I", Int32(n), "LA", Int32(count), test, work.residual,
            Int32(ncv), work.basis, Int32(n), &work.parameters, &work.pointers, work.vectorWork,
            work.smallWork, size, &work.info)
        }
      #endif
      dsaupd_c(
        &work.ido, "I", Int32(n), "LA", Int32(count), test, work.residual, Int32(ncv), work.basis,
        Int32(n), &work.parameters, &work.pointers, work.vectorWork, work.smallWork, size,
        &work.info)
    } afterProduct: {
      test = relativeTest(values: work.small(6), bounds: work.small(7))
    }

    let isConverged = try work.hasConverged(
      count, by: communicator == nil ? "dsaupd" : "pdsaupd")
    // Read the whole basis V with its tridiagonal T = V G Vᵀ, converged or not: `dseupd` would return no more pairs
    // than were requested.
    let t = work.small(5)
    var projected = Matrix<Double>(rows: ncv, columns: ncv)
    for i in 0..<ncv {
      projected[i, i] = t[ncv + i]
      if i > 0 { (projected[i - 1, i], projected[i, i - 1]) = (t[i], t[i]) }
    }
    let (_, rotation) = try space.largestEigenpairs(of: projected, min(count + further, ncv))
    let basis = Matrix(
      rows: ncv, columns: n,
      elements: Array(UnsafeBufferPointer(start: work.basis, count: ncv * n)))
    return Result(
      vectors: .product(rotation, .none, basis), restarts: work.restartsMade,
      isConverged: isConverged)
  }

  /// The `tol` to pass to ARPACK, whose test is ‖G v − λ v‖ ≤ tol · λ for each wanted λ.
  ///
  /// The test we want is ‖G v − λ v‖ ≤ τ(λ) = tolerance · σ₁ · max(σ, tolerance · σ₁): for σ ≪ σ₁ the relative test
  /// asks for more than single precision can give, and λ ≈ 0 never meets it. ARPACK reads `tol` again at every
  /// restart, so we pass the smallest τ(λ)/λ among those λ that had not met τ at the last restart, or the largest of
  /// all if all had. A value that appears only after that is accepted by a test it may not have met: residual norms
  /// are measured, and triplets that do not meet τ are refined.
  private func relativeTest(
    values: UnsafePointer<Double>, bounds: UnsafePointer<Double>
  ) -> Double {
    var pairs = (0..<subspaceDimension).map { (value: values[$0], bound: bounds[$0]) }
    pairs.sort { $0.value > $1.value }
    let largest = pairs[0].value
    guard largest > 0 else { return tolerance }
    var (open, all): ([Double], [Double]) = ([], [])
    for pair in pairs.prefix(count) {
      let sigma = max(pair.value, 0).squareRoot()
      let wanted = tolerance * largest.squareRoot() * max(sigma, tolerance * largest.squareRoot())
      let relative = wanted / max(pair.value, Double.ulpOfOne * largest)
      all.append(relative)
      if pair.bound > wanted { open.append(relative) }
    }
    return open.min() ?? all.max() ?? tolerance
  }
}
