import LinearAlgebra

extension Communicator {
  /// Whether any process says so, in all of them.
  public func isAny(_ isSo: Bool) -> Bool {
    guard size > 1 else { return isSo }
    var count = isSo ? 1.0 : 0
    withUnsafeMutablePointer(to: &count) { sum($0, count: 1) }
    return count > 0
  }

  /// values ← the sum of all processes' values, in either precision.
  public func sum<Scalar: RealScalar>(_ values: UnsafeMutablePointer<Scalar>, count: Int) {
    let raw = UnsafeMutableRawPointer(values)
    if Scalar.self == Float.self {
      sum(UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Float.self), count: count))
    } else {
      sum(UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: Double.self), count: count))
    }
  }
}
