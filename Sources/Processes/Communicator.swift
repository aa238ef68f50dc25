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

extension Communicator {
  /// Every process's bytes, by rank.
  public func gathered(_ bytes: [UInt8]) -> [[UInt8]] {
    (0..<size).map { root in
      var count = bytes.count
      withUnsafeMutableBytes(of: &count) { broadcast($0, from: root) }
      var received = root == rank ? bytes : [UInt8](repeating: 0, count: count)
      if count > 0 { received.withUnsafeMutableBytes { broadcast($0, from: root) } }
      return received
    }
  }

  /// Every process's text, by rank.
  public func gathered(_ text: String) -> [String] {
    gathered(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The leader's bytes in every process.
  public func leaders(_ bytes: [UInt8]) -> [UInt8] {
    let count = agreed(bytes.count)
    var received = isLeader ? bytes : [UInt8](repeating: 0, count: count)
    if count > 0 { received.withUnsafeMutableBytes { broadcast($0, from: 0) } }
    return received
  }
}
