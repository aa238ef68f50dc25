import LinearAlgebra
import Synchronization

/// The memory of ARPACK's reverse communication, for symmetric and general operators alike: the start vector, the
/// basis, and the loop that answers its requests for products.
final class ARPACKWorkspace {
  /// `ido`: what ARPACK asks for next.
  var ido: Int32 = 0
  /// `info`: 1 at the start, since `residual` holds the start vector; then the status of the run.
  var info: Int32 = 1
  /// ARPACK's `iparam`.
  var parameters: [Int32]
  /// ARPACK's `ipntr`.
  var pointers = [Int32](repeating: 0, count: 14)
  let residual, basis, vectorWork, smallWork: UnsafeMutablePointer<Double>
  private let space: VectorSpace
  private let arena: UnsafeMutableBufferPointer<Double>
  private var generator: SeededGenerator

  private static let lock = Mutex<Void>(())
  @TaskLocal private static var isSolving = false

  /// Runs a whole solve under a lock: ARPACK keeps its state in Fortran `SAVE` variables, so there can be only one at
  /// a time. Throws `SolverError.nestedSolve` if called from inside another.
  static func exclusively<Result>(_ solve: () throws -> Result) throws -> Result {
    guard !isSolving else { throw SolverError.nestedSolve }
    return try $isSolving.withValue(true) { try lock.withLock { _ in try solve() } }
  }

  /// Memory for `subspaceDimension` (ncv) vectors of `space`, and `smallWork` numbers of `workl`.
  init(
    of space: VectorSpace, subspaceDimension ncv: Int, smallWork: Int, restarts: Int, seed: UInt64
  ) {
    BLAS.prepare()  // ARPACK calls it
    self.space = space
    let n = space.held.count
    // One allocation, because ARPACK keeps addresses into `workd` between calls.
    let lengths = [n, n * ncv, 3 * n, smallWork]
    arena = .allocate(capacity: lengths.reduce(0, +))
    arena.initialize(repeating: 0)
    residual = arena.baseAddress!
    basis = residual + lengths[0]
    vectorWork = basis + lengths[1]
    self.smallWork = vectorWork + lengths[2]
    generator = SeededGenerator(seed: seed)
    Self.draw(
      from: &generator, in: space, into: UnsafeMutableBufferPointer(start: residual, count: n))
    parameters = [Int32](repeating: 0, count: 11)
    parameters[0] = 1  // exact shifts
    parameters[2] = Int32(clamping: restarts)
    parameters[6] = 1  // standard problem
  }

  deinit { arena.deallocate() }

  /// Fills `vector` with a random vector, or with the part of it that is held here.
  private static func draw(
    from generator: inout SeededGenerator, in space: VectorSpace,
    into vector: UnsafeMutableBufferPointer<Double>
  ) {
    _ = vector.update(fromContentsOf: space.normalVectors(1, using: &generator).elements)
  }

  /// The part of `workl` that `ipntr(i)` points to, with i counted from 1.
  func small(_ i: Int) -> UnsafeMutablePointer<Double> { smallWork + Int(pointers[i - 1]) - 1 }

  /// The number of restarts made, once ARPACK has ended.
  var restartsMade: Int { max(Int(parameters[2]) - 1, 0) }

  /// Whether all pairs requested met ARPACK's own test, once its iteration has ended. Throws `ARPACKError` if there
  /// is nothing to read.
  func hasConverged(_ count: Int, by routine: String) throws(ARPACKError) -> Bool {
    // info = 1: no restarts left; 3: no shifts were left to apply. Both leave a usable basis.
    guard info == 0 || info == 1 || info == 3 else {
      throw ARPACKError(routine: routine, info: Int(info))
    }
    return info == 0 && Int(parameters[4]) >= count
  }

  /// Calls `step` and gives ARPACK the products it asks for, until it asks for no more.
  func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void, step: () -> Void,
    afterProduct: () -> Void
  ) rethrows {
    while true {
      step()
      guard ido == 1 || ido == -1 else { return }
      let target = UnsafeMutableBufferPointer(
        start: vectorWork + Int(pointers[1]) - 1, count: space.held.count)
      if ido == 1 {
        let source = UnsafeBufferPointer(
          start: vectorWork + Int(pointers[0]) - 1, count: space.held.count)
        var span = target.mutableSpan
        try product(source.span, &span)
        afterProduct()
      } else {
        // ARPACK has drawn a direction, from a generator whose state depends on earlier solves, and wants it mapped
        // into the range of the operator, which only generalized problems need. We give it a seeded direction
        // instead: the solve then depends on its seed alone, also after an invariant subspace, and the start vector
        // of a zero operator does not vanish.
        Self.draw(from: &generator, in: space, into: target)
      }
    }
  }
}
