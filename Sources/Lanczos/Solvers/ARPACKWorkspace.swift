import LinearAlgebra
import Synchronization

/// What ARPACK's reverse communication works on, the same for symmetric operators and others: the start vector, the basis,
/// and the loop that answers its requests for products.
final class ARPACKWorkspace {
  /// What to do next, as ARPACK says.
  var ido: Int32 = 0
  /// 1 as it begins: `residual` holds the start vector. Then how it ended.
  var info: Int32 = 1
  /// `iparam`.
  var parameters: [Int32]
  /// `ipntr`.
  var pointers = [Int32](repeating: 0, count: 14)
  let residual, basis, vectorWork, smallWork: UnsafeMutablePointer<Double>
  private let order: Int
  private let arena: UnsafeMutableBufferPointer<Double>
  private var generator: SeededGenerator

  private static let lock = Mutex<Void>(())
  @TaskLocal private static var isSolving = false

  /// Does a whole solve: ARPACK keeps its state in Fortran `SAVE` variables, so there is one at a time. Throws
  /// `SolverError.nestedSolve` inside another.
  static func exclusively<Result>(_ solve: () throws -> Result) throws -> Result {
    guard !isSolving else { throw SolverError.nestedSolve }
    return try $isSolving.withValue(true) { try lock.withLock { _ in try solve() } }
  }

  /// For vectors of length `order`, `subspaceDimension` of them (ncv), and `smallWork` numbers of `workl`.
  init(order n: Int, subspaceDimension ncv: Int, smallWork: Int, restarts: Int, seed: UInt64) {
    BLAS.prepare()  // ARPACK calls it
    order = n
    // One arena, because ARPACK keeps addresses into `workd` between calls.
    let lengths = [n, n * ncv, 3 * n, smallWork]
    arena = .allocate(capacity: lengths.reduce(0, +))
    arena.initialize(repeating: 0)
    residual = arena.baseAddress!
    basis = residual + lengths[0]
    vectorWork = basis + lengths[1]
    self.smallWork = vectorWork + lengths[2]
    generator = SeededGenerator(seed: seed)
    for i in 0..<n { residual[i] = generator.normal() }
    parameters = [Int32](repeating: 0, count: 11)
    parameters[0] = 1  // exact shifts
    parameters[2] = Int32(clamping: restarts)
    parameters[6] = 1  // standard problem
  }

  deinit { arena.deallocate() }

  /// The part of `workl` that `ipntr`(i) points to, i counted from 1.
  func small(_ i: Int) -> UnsafeMutablePointer<Double> { smallWork + Int(pointers[i - 1]) - 1 }

  /// Restarts made, once ARPACK has ended.
  var restartsMade: Int { max(Int(parameters[2]) - 1, 0) }

  /// Whether ARPACK's own test was met by all pairs that were asked for, once its iteration has ended. Throws `ARPACKError` if
  /// that left nothing to read.
  func hasConverged(_ count: Int, by routine: String) throws(ARPACKError) -> Bool {
    // info = 1: restarts exhausted; 3: no shifts were left to apply. Both leave a basis worth reading.
    guard info == 0 || info == 1 || info == 3 else {
      throw ARPACKError(routine: routine, info: Int(info))
    }
    return info == 0 && Int(parameters[4]) >= count
  }

  /// Calls `step`, and gives ARPACK the products it asks for, until it asks for no more.
  func iterate(
    _ product: (Span<Double>, inout MutableSpan<Double>) throws -> Void, step: () -> Void,
    afterProduct: () -> Void
  ) rethrows {
    while true {
      step()
      guard ido == 1 || ido == -1 else { return }
      let target = UnsafeMutableBufferPointer(
        start: vectorWork + Int(pointers[1]) - 1, count: order)
      if ido == 1 {
        let source = UnsafeBufferPointer(start: vectorWork + Int(pointers[0]) - 1, count: order)
        var span = target.mutableSpan
        try product(source.span, &span)
        afterProduct()
      } else {
        // ARPACK has chosen a direction, from a generator that remembers earlier solves, and wants it forced into
        // the range of the operator, which only generalized problems need. A seeded direction instead: the solve depends
        // on its seed alone, also after an invariant subspace, and a zero operator has no start vector that vanishes.
        for i in 0..<order { target[i] = generator.normal() }
      }
    }
  }
}
