import LinearAlgebra

/// The memory of one application: a slot for the tangent (or cotangent) of every recorded value, and scratch.
///
/// Made once, it grows only when more vectors come at once than ever before. Slots are offsets times the number of
/// vectors, so a narrow application stays in few pages.
public final class Workspace<Scalar: RealScalar> {
  /// Vectors of the application under way, b.
  public private(set) var vectors = 0
  private let offsets: [Int]
  private let counts: [Int]
  private let perVector: Int
  private let scratchOffset: Int
  private var capacity = 0
  private var arena: UnsafeMutablePointer<Scalar>
  /// Which slots hold a cotangent already.
  private let touched: UnsafeMutablePointer<Bool>

  /// Slots of these sizes, in numbers per vector.
  init(counts: [Int], scratch: Int) {
    var total = 0
    offsets = counts.map { count in
      defer { total += count }
      return total
    }
    self.counts = counts
    scratchOffset = total
    perVector = total + scratch
    arena = .allocate(capacity: 1)
    touched = .allocate(capacity: max(counts.count, 1))
  }

  deinit {
    arena.deallocate()
    touched.deallocate()
  }

  /// Gets ready for an application to `b` vectors.
  func begin(vectors b: Int) {
    if b * perVector > capacity {
      arena.deallocate()
      capacity = b * perVector
      arena = .allocate(capacity: capacity)
    }
    vectors = b
    touched.update(repeating: false, count: counts.count)
  }

  /// Gives the memory back; the next application allocates it again.
  func release() {
    arena.deallocate()
    arena = .allocate(capacity: 1)
    capacity = 0
  }

  /// Bytes of an application to `b` vectors.
  func byteCount(vectors b: Int) -> Int { b * perVector * MemoryLayout<Scalar>.stride }

  /// The tangent (or cotangent) of the value at a position of the trace.
  public func slot(_ position: Int) -> UnsafeMutablePointer<Scalar> {
    arena + offsets[position] * vectors
  }

  /// Scratch of the primitive at work, `scratchCount · b` numbers.
  public var scratch: UnsafeMutablePointer<Scalar> { arena + scratchOffset * vectors }

  /// Where to put a contribution to a cotangent, and whether others lie there already (then add, else overwrite).
  public func target(of position: Int) -> (UnsafeMutablePointer<Scalar>, accumulating: Bool) {
    let accumulating = touched[position]
    touched[position] = true
    return (slot(position), accumulating)
  }

  /// The same for a rule that adds to a part only: the slot is cleared on first use.
  public func accumulator(of position: Int) -> UnsafeMutablePointer<Scalar> {
    let (target, accumulating) = target(of: position)
    if !accumulating { target.update(repeating: 0, count: counts[position] * vectors) }
    return target
  }

  /// Whether any cotangent has reached this value.
  func isTouched(_ position: Int) -> Bool { touched[position] }
}
