/// A group of processes that run the same program, each on its part of the data.
///
/// Every process of the group makes the same calls in the same order; a call that some process does not make never returns. The
/// results of `sum`, `gather` and `broadcast` are the same to the bit in every process, so decisions that depend on nothing else
/// are the same everywhere.
public protocol Communicator: AnyObject, Sendable {
  /// The number of this process, from 0.
  var rank: Int { get }
  /// The number of processes.
  var size: Int { get }
  /// values ← the sum of all processes' values, element by element.
  func sum(_ values: UnsafeMutableBufferPointer<Float>)
  /// values ← the sum of all processes' values, element by element.
  func sum(_ values: UnsafeMutableBufferPointer<Double>)
  /// whole ← the processes' parts, one after another; `counts` has the length of each.
  func gather(
    _ part: UnsafeBufferPointer<Double>, into whole: UnsafeMutableBufferPointer<Double>,
    counts: [Int])
  /// bytes ← those of process `root`; every process has room for the same number.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int)
  /// Returns once every process has called it.
  func barrier()
  /// What has been handed to `sum`, `gather` and `broadcast` so far.
  var traffic: Traffic { get }
}

/// What one process has handed to the others: the size of its own operands, however the network moves them.
public struct Traffic: Sendable, Equatable, Codable {
  /// The number of collective calls.
  public var calls = 0
  /// The bytes of their operands: those of `sum`, this process's part of `gather`, those of `broadcast`.
  public var bytes = 0

  /// No calls.
  public init() {}

  /// Counts one call with an operand of this size.
  public mutating func add(bytes count: Int) {
    calls += 1
    bytes += count
  }
}

extension Communicator {
  /// Whether this is the process that writes and prints for the group.
  public var isLeader: Bool { rank == 0 }

  /// The leader's value in every process: for decisions that depend on more than the results of collective calls.
  public func agreed<T: BitwiseCopyable>(_ value: T) -> T {
    var value = value
    withUnsafeMutableBytes(of: &value) { broadcast($0, from: 0) }
    return value
  }
}
