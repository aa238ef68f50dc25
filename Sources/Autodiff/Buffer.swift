import LinearAlgebra
import Synchronization

/// Numbers at a fixed address, shared by reference: the values of a `Variable`, and those that primitives save.
///
/// A value of `columns` features for `rows` rows lies feature by feature, feature c of row r at [c · rows + r], so that
/// a product with a stored matrix reads the rows as interleaved vectors.
package final class Buffer<Scalar: RealScalar> {
  package let base: UnsafeMutablePointer<Scalar>
  package let count: Int

  package init(count: Int) {
    self.count = count
    base = .allocate(capacity: max(count, 1))
    ValueMemory.add(count * MemoryLayout<Scalar>.stride)
  }

  deinit {
    base.deallocate()
    ValueMemory.add(-count * MemoryLayout<Scalar>.stride)
  }
}

/// The bytes of all values of all programs: what evaluations need while they run, and what linearizations keep.
public enum ValueMemory {
  private static let live = Atomic<Int>(0)
  private static let peak = Atomic<Int>(0)

  fileprivate static func add(_ bytes: Int) {
    peak.max(live.add(bytes, ordering: .relaxed).newValue, ordering: .relaxed)
  }

  /// The bytes allocated now.
  public static var liveBytes: Int { live.load(ordering: .relaxed) }

  /// The largest number of bytes allocated at once since `resetPeak()`.
  public static var peakBytes: Int { peak.load(ordering: .relaxed) }

  /// Starts a new peak at the bytes allocated now.
  public static func resetPeak() { peak.store(liveBytes, ordering: .relaxed) }
}
