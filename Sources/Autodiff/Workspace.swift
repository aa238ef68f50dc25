import LinearAlgebra

/// The memory of one application: a slot for the tangent (or cotangent) of every recorded value, and scratch.
///
/// It is allocated once and grows only when there are more vectors at once than ever before. Slots are at offsets
/// times the number of vectors, so that a narrow application touches few pages. Values that are not needed at the
/// same time share memory: a tangent is needed from the step that computes it to the last that reads it, and its
/// cotangent, backwards, between the same two. So a program of many blocks needs little more than one block does.
public final class Workspace<Scalar: RealScalar> {
  /// The size of a value on the trace, and the steps between which it is needed, including the last one that reads
  /// it.
  struct Slot {
    var count: Int
    var first: Int
    var last: Int
  }

  /// b, the number of vectors of the current application.
  public private(set) var vectors = 0
  private let offsets: [Int]
  private let counts: [Int]
  private let perVector: Int
  private let scratchOffset: Int
  private var capacity = 0
  private var arena: UnsafeMutablePointer<Scalar>
  /// Whether each slot has received a cotangent.
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

  /// The offset of each slot and the total size: every slot, in the order of the trace, takes the first gap that is
  /// large enough.
  private static func placed(_ slots: [Slot]) -> (offsets: [Int], total: Int) {
    var offsets = Array(repeating: 0, count: slots.count)
    var total = 0
    /// The slots still needed, by offset.
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

  /// Prepares for an application to `b` vectors.
  func begin(vectors b: Int) {
    if b * perVector > capacity {
      arena.deallocate()
      capacity = b * perVector
      arena = .allocate(capacity: capacity)
    }
    vectors = b
    touched.update(repeating: false, count: counts.count)
  }

  /// Frees the memory; the next application allocates it again.
  func release() {
    arena.deallocate()
    arena = .allocate(capacity: 1)
    capacity = 0
  }

  /// The bytes of an application to `b` vectors.
  func byteCount(vectors b: Int) -> Int { b * perVector * MemoryLayout<Scalar>.stride }

  /// The tangent (or cotangent) of the value at a position of the trace.
  public func slot(_ position: Int) -> UnsafeMutablePointer<Scalar> {
    arena + offsets[position] * vectors
  }

  /// The scratch memory of the current primitive, `scratchCount · b` numbers.
  public var scratch: UnsafeMutablePointer<Scalar> { arena + scratchOffset * vectors }

  /// The place to write a contribution to a cotangent, and whether to add to contributions already there (else
  /// overwrite).
  public func target(of position: Int) -> (UnsafeMutablePointer<Scalar>, accumulating: Bool) {
    let accumulating = touched[position]
    touched[position] = true
    return (slot(position), accumulating)
  }

  /// The same place for a rule that adds to only a part of it: the slot is cleared on first use.
  public func accumulator(of position: Int) -> UnsafeMutablePointer<Scalar> {
    let (target, accumulating) = target(of: position)
    if !accumulating { target.update(repeating: 0, count: counts[position] * vectors) }
    return target
  }

  /// Whether a cotangent has reached this value.
  func isTouched(_ position: Int) -> Bool { touched[position] }
}
