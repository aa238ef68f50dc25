/// A group of one process.
public final class SingleProcess: Communicator {
  /// Creates the group.
  public init() {}
  /// 0.
  public var rank: Int { 0 }
  /// 1.
  public var size: Int { 1 }
  /// None: nothing leaves the process.
  public var traffic: Traffic { Traffic() }
  /// Leaves the values as they are.
  public func sum(_ values: UnsafeMutableBufferPointer<Float>) {}
  /// Leaves the values as they are.
  public func sum(_ values: UnsafeMutableBufferPointer<Double>) {}
  /// Copies the part.
  public func gather(
    _ part: UnsafeBufferPointer<Double>, into whole: UnsafeMutableBufferPointer<Double>,
    counts: [Int]
  ) { _ = whole.update(fromContentsOf: part) }
  /// Leaves the bytes as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
  /// Returns at once.
  public func barrier() {}
}
