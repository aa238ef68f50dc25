import Processes
import Synchronization

/// One member of a team whose other members are not there: it counts what it would hand to them and continues with its own
/// numbers. For the cost of its part of the work, which does not depend on the numbers.
final class RehearsedMember: Communicator {
  let rank: Int
  let size: Int
  private let counted = Mutex(Traffic())

  /// The last member of a team, which has the most whenever heads, hidden units or vectors cannot be divided evenly.
  init(of size: Int) { (rank, self.size) = (size - 1, size) }

  var traffic: Traffic { counted.withLock { $0 } }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) { count(UnsafeRawBufferPointer(values)) }
  func sum(_ values: UnsafeMutableBufferPointer<Double>) { count(UnsafeRawBufferPointer(values)) }

  func gather(
    _ part: UnsafeBufferPointer<Double>, into whole: UnsafeMutableBufferPointer<Double>,
    counts: [Int]
  ) {
    count(UnsafeRawBufferPointer(part))
    whole.update(repeating: 0)
    let start = counts[..<rank].reduce(0, +)
    _ = whole.extracting(start..<start + part.count).update(fromContentsOf: part)
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    count(UnsafeRawBufferPointer(bytes))
  }

  func barrier() {}

  private func count(_ bytes: UnsafeRawBufferPointer) {
    counted.withLock { $0.add(bytes: bytes.count) }
  }
}
