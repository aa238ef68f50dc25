/// Applications of an operator, counted: vectors in each direction, and passes (calls, however many vectors travel).
public struct ApplicationCount: Equatable, Sendable, Codable {
  /// Vectors A was applied to.
  public var jvp = 0
  /// Vectors Aᵀ was applied to.
  public var vjp = 0
  /// Calls in either direction: how often the weights are read.
  public var passes = 0

  /// Nothing applied yet.
  public init() {}
}

/// An operator that counts what is asked of it.
public final class CountingOperator: LinearOperator {
  private let base: any LinearOperator
  /// So far.
  public private(set) var count = ApplicationCount()

  /// Counts applications of `base`.
  public init(_ base: any LinearOperator) { self.base = base }

  /// n, the length of an input.
  public var inputDimension: Int { base.inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { base.outputDimension }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    count.jvp += b
    count.passes += 1
    base.apply(v, into: &y, vectors: b)
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    count.vjp += b
    count.passes += 1
    base.applyAdjoint(u, into: &x, vectors: b)
  }
}
