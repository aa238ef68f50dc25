import CARPACK
import ComplexModule
import LinearAlgebra

/// One run of ARPACK's reverse communication: the `count` eigenpairs of largest modulus of a real A of order n, given
/// by its products.
///
/// It holds ARPACK's lock from the first `dnaupd` to `dneupd`.
struct ArnoldiIteration {
  let order: Int
  let count: Int
  let subspaceDimension: Int
  let restarts: Int
  /// The convergence test is ‖A x − λ x‖ ≤ tolerance · |λ₁|.
  let tolerance: Double
  let seed: UInt64

  /// The result of a run.
  struct Result {
    /// The `count` eigenpairs, with vectors of norm 1.
    let pairs: DenseEigenpairs
    /// The number of restarts made.
    let restarts: Int
    /// Whether all of them met ARPACK's own test.
    let isConverged: Bool
  }

  /// Runs the iteration; `product` writes A x into its second argument.
  func run(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    try ARPACKWorkspace.exclusively { try iterate(product) }
  }

  private func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    let (n, ncv) = (order, subspaceDimension)
    let size = 3 * ncv * ncv + 6 * ncv
    let work = ARPACKWorkspace(
      of: VectorSpace(dimension: n), subspaceDimension: ncv, smallWork: size, restarts: restarts,
      seed: seed)
    var test = tolerance
    try work.iterate(product) {
      dnaupd_c(
        &work.ido, "I", Int32(n), "LM", Int32(count), test, work.residual, Int32(ncv), work.basis,
        Int32(n), &work.parameters, &work.pointers, work.vectorWork, work.smallWork, Int32(size),
        &work.info)
    } afterProduct: {
      test = relativeTest(ritzValues(work), bounds: work.small(8))
    }

    let isConverged = try work.hasConverged(count, by: "dnaupd")
    let restartsMade = work.restartsMade
    // Ask for every wanted pair, converged or not, with a test that all of them pass: residual norms are measured
    // afterwards. Both members of a complex pair are needed, since the second holds the imaginary part.
    let ranked = ritzValues(work).sorted { $0.length > $1.length }
    let splitsPair = ranked.prefix(count).count { $0.imaginary != 0 } % 2 == 1
    let wanted = min(count + (splitsPair ? 1 : 0), ncv)
    work.parameters[4] = Int32(wanted)
    var real = [Double](repeating: 0, count: wanted + 1)
    var imaginary = real
    var vectors = Matrix<Double>(rows: wanted + 1, columns: n)
    var selection = [Int32](repeating: 0, count: ncv)
    var eigenvectorWork = [Double](repeating: 0, count: 3 * ncv)
    work.info = 0
    dneupd_c(
      1, "A", &selection, &real, &imaginary, &vectors.elements, Int32(n), 0, 0, &eigenvectorWork,
      "I", Int32(n), "LM", Int32(count), 1e200, work.residual, Int32(ncv), work.basis, Int32(n),
      &work.parameters, &work.pointers, work.vectorWork, work.smallWork, Int32(size), &work.info)
    guard work.info == 0 else { throw ARPACKError(routine: "dneupd", info: Int(work.info)) }
    let pairs = (0..<wanted).filter { imaginary[$0] >= 0 }.map { i in
      (
        value: Complex(real[i], imaginary[i]), real: vectors.row(i),
        imaginary: imaginary[i] > 0 ? vectors.row(i + 1) : nil
      )
    }
    return Result(
      pairs: DenseEigenpairs(pairs, count: count, order: n), restarts: restartsMade,
      isConverged: isConverged)
  }

  /// The Ritz values of the last restart.
  private func ritzValues(_ work: ARPACKWorkspace) -> [Complex<Double>] {
    let (real, imaginary) = (work.small(6), work.small(7))
    return (0..<subspaceDimension).map { Complex(real[$0], imaginary[$0]) }
  }

  /// The `tol` to pass to ARPACK, whose test is ‖A x − λ x‖ ≤ tol · |λ| for each wanted λ.
  ///
  /// The test we want is ‖A x − λ x‖ ≤ tolerance · |λ₁|, because λ ≈ 0 never meets the relative one. ARPACK reads
  /// `tol` again at every restart, so we pass the smallest tolerance · |λ₁ / λ| among those λ that had not met our
  /// test at the last restart.
  private func relativeTest(
    _ values: [Complex<Double>], bounds: UnsafePointer<Double>
  ) -> Double {
    let sizes = values.map(\.length)
    guard let largest = sizes.max(), largest > 0 else { return tolerance }
    let ranked = sizes.indices.sorted { sizes[$0] > sizes[$1] }
    return ranked.prefix(count).reduce(1e200) { smallest, i in
      bounds[i] > tolerance * largest
        ? min(smallest, tolerance * largest / max(sizes[i], Double.ulpOfOne * largest)) : smallest
    }
  }
}
