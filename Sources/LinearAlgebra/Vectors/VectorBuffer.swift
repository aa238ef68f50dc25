/// Memory for the intermediate vectors of a composite operator. It grows only when more is needed than ever before,
/// so that of several applications of one width only the first allocates.
final class VectorBuffer {
  private var memory = UnsafeMutableBufferPointer<Double>(start: nil, count: 0)

  deinit { memory.deallocate() }

  /// Memory for `count` numbers, valid until the next call; its contents are unspecified.
  func room(for count: Int) -> UnsafeMutableBufferPointer<Double> {
    if count > memory.count {
      memory.deallocate()
      memory = .allocate(capacity: count)
      memory.initialize(repeating: 0)
    }
    return UnsafeMutableBufferPointer(rebasing: memory[..<count])
  }
}

/// y ← y + α x.
func add(_ x: Span<Double>, times alpha: Double, to y: inout MutableSpan<Double>) {
  precondition(x.count == y.count, "\(x.count) numbers added to \(y.count)")
  x.withUnsafeBufferPointer { x in
    y.withUnsafeMutableBufferPointer { y in
      for i in x.indices { y[i] += alpha * x[i] }
    }
  }
}

/// y ← α y.
func scale(_ y: inout MutableSpan<Double>, by alpha: Double) {
  guard alpha != 1 else { return }
  y.withUnsafeMutableBufferPointer { y in for i in y.indices { y[i] *= alpha } }
}
