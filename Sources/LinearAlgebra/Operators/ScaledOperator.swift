/// c A: an application costs one of A.
public final class ScaledOperator: LinearOperator {
  private let base: any LinearOperator
  private let factor: Double

  /// `factor` times `base`.
  public init(_ base: any LinearOperator, by factor: Double) {
    (self.base, self.factor) = (base, factor)
  }

  /// n, the length of an input.
  public var inputDimension: Int { base.inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { base.outputDimension }
  /// The team that holds the vectors.
  public var innerProducts: (any InnerProducts)? { base.innerProducts }

  /// yᵢ ← c A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    base.apply(v, into: &y, vectors: b)
    scale(&y, by: factor)
  }

  /// xᵢ ← c Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    base.applyAdjoint(u, into: &x, vectors: b)
    scale(&x, by: factor)
  }
}
