/// Aᵀ, by swapping the two directions.
public final class AdjointOperator: LinearOperator {
  private let base: any LinearOperator

  /// The adjoint of `base`.
  public init(_ base: any LinearOperator) { self.base = base }

  /// n, the length of an input.
  public var inputDimension: Int { base.outputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { base.inputDimension }
  /// The team that holds the vectors.
  public var innerProducts: (any InnerProducts)? { base.innerProducts }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    base.applyAdjoint(v, into: &y, vectors: b)
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    base.apply(u, into: &x, vectors: b)
  }
}
