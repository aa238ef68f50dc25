import CARPACK
import LinearAlgebra
import Synchronization

/// One run of ARPACK's reverse communication: the `count` largest eigenpairs of a symmetric positive semidefinite G
/// of order n, known by its products.
///
/// ARPACK keeps its state in Fortran `SAVE` variables, so one lock is held from the first `dsaupd` to `dseupd`.
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

  private static let lock = Mutex<Void>(())
  @TaskLocal private static var isSolving = false

  /// Runs; `product` writes G x into its second argument.
  func run(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    guard !Self.isSolving else { throw SolverError.nestedSolve }
    return try Self.$isSolving.withValue(true) {
      try Self.lock.withLock { _ in try iterate(product) }
    }
  }

  private func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void
  ) throws -> Result {
    BLAS.prepare()  // ARPACK calls it
    let (n, ncv) = (order, subspaceDimension)
    // One arena, because ARPACK keeps addresses into `workd` between calls.
    let lengths = [n, n * ncv, 3 * n, ncv * (ncv + 8)]
    let arena = UnsafeMutableBufferPointer<Double>.allocate(capacity: lengths.reduce(0, +))
    defer { arena.deallocate() }
    arena.initialize(repeating: 0)
    let residual = arena.baseAddress!
    let basis = residual + lengths[0]
    let vectorWork = basis + lengths[1]
    let smallWork = vectorWork + lengths[2]

    var generator = SeededGenerator(seed: seed)
    for i in 0..<n { residual[i] = generator.normal() }

    var ido: Int32 = 0
    var info: Int32 = 1  // `residual` holds the start vector
    var parameters = [Int32](repeating: 0, count: 11)
    parameters[0] = 1  // exact shifts
    parameters[2] = Int32(clamping: restarts)
    parameters[6] = 1  // standard problem
    var pointers = [Int32](repeating: 0, count: 14)
    var test = tolerance

    repeat {
      dsaupd_c(
        &ido, "I", Int32(n), "LA", Int32(count), test, residual, Int32(ncv), basis, Int32(n),
        &parameters, &pointers, vectorWork, smallWork, Int32(lengths[3]), &info)
      guard ido == 1 || ido == -1 else { break }
      let target = UnsafeMutableBufferPointer(
        start: vectorWork + Int(pointers[1]) - 1, count: n)
      if ido == 1 {
        let source = UnsafeBufferPointer(start: vectorWork + Int(pointers[0]) - 1, count: n)
        var span = target.mutableSpan
        try product(source.span, &span)
        test = relativeTest(
          values: smallWork + Int(pointers[5]) - 1, bounds: smallWork + Int(pointers[6]) - 1)
      } else {
        // ARPACK has chosen a direction, from a generator that remembers earlier solves, and wants it forced into
        // the range of G, which only generalized problems need. A seeded direction instead: the solve depends on its
        // seed alone, also after an invariant subspace, and a zero operator has no start vector that vanishes.
        for i in 0..<n { target[i] = generator.normal() }
      }
    } while true

    // info = 1: restarts exhausted; 3: no shifts were left to apply. Both leave a basis worth reading.
    guard info == 0 || info == 1 || info == 3 else {
      throw ARPACKError(routine: "dsaupd", info: Int(info))
    }
    let isConverged = info == 0 && Int(parameters[4]) >= count
    let made = max(Int(parameters[2]) - 1, 0)

    // Every wanted pair is asked for, converged or not, by a test that all of them pass: residual norms are measured
    // afterwards, and the best available triplets are a better answer than fewer of them.
    parameters[4] = Int32(count)
    var values = [Double](repeating: 0, count: count)
    var vectors = Matrix<Double>(rows: count, columns: n)
    let selection = [Int32](repeating: 0, count: ncv)
    info = 0
    dseupd_c(
      1, "A", selection, &values, &vectors.elements, Int32(n), 0, "I", Int32(n), "LA",
      Int32(count), 1e200, residual, Int32(ncv), basis, Int32(n), &parameters, &pointers,
      vectorWork, smallWork, Int32(lengths[3]), &info)
    guard info == 0 else { throw ARPACKError(routine: "dseupd", info: Int(info)) }
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
