import LinearAlgebra

extension Communicator {
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
