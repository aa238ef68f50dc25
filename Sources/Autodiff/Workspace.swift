import LinearAlgebra

/// The memory of one application: a slot for the tangent (or cotangent) of every recorded value, and scratch.
///
/// Made once, it grows only when more vectors come at once than ever before. Slots are offsets times the number of
/// vectors, so a narrow application stays in few pages. Values that are not needed at the same time share memory: a tangent
/// is needed from the step that makes it to the last that reads it, and its cotangent, backwards, between the same two. So a
/// program of many blocks needs little more than one of them.
public final class Workspace<Scalar: RealScalar> {
  /// A value of the trace, and the steps between which it is needed, the position of the last one that reads it included.
  struct Slot {
    var count: Int
    var first: Int
    var last: Int
  }

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

  /// Slots of these sizes, in numbers per vector, by position on the trace.
  init(_ slots: [Slot], scratch: Int) {
    let total: Int
    (offsets, total) = Self.placed(slots)
    counts = slots.map(\.count)
    scratchOffset = total
    perVector = total + scratch
    arena = .allocate(capacity: 1)
    touched = .allocate(capacity: max(counts.count, 1))
  }

  /// Where each slot begins, and how much memory they need: every slot, in the order of the trace, takes the first gap that
  /// is large enough.
  private static func placed(_ slots: [Slot]) -> (offsets: [Int], total: Int) {
    var offsets = Array(repeating: 0, count: slots.count)
    var total = 0
    /// Those still needed, by offset.
    var live: [Int] = []
    for (i, slot) in slots.enumerated() where slot.count > 0 {
      live.removeAll { slots[$0].last < slot.first }
      var (offset, place) = (0, 0)
      while place < live.count, offset + slot.count > offsets[live[place]] {
        offset = offsets[live[place]] + slots[live[place]].count
        place += 1
      }
      offsets[i] = offset
      live.insert(i, at: place)
      total = max(total, offset + slot.count)
    }
    return (offsets, total)
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
