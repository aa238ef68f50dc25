/// A + c I for a square A: an application costs one of A.
///
/// If A is a residual Jacobian J, J + I is the derivative of the whole block.
public final class ShiftedOperator: LinearOperator {
  private let base: any LinearOperator
  private let shift: Double

  /// `base` plus `shift` times the identity. Precondition: `base` is square.
  public init(_ base: any LinearOperator, by shift: Double) {
    precondition(
      base.inputDimension == base.outputDimension,
      "\(base.outputDimension) × \(base.inputDimension) is not square: I has no such shape"
    )
    (self.base, self.shift) = (base, shift)
  }

  /// n, the length of an input.
  public var inputDimension: Int { base.inputDimension }
  /// n, the length of an output.
  public var outputDimension: Int { base.outputDimension }
  /// The team that holds the vectors.
  public var innerProducts: (any InnerProducts)? { base.innerProducts }

  /// yᵢ ← A vᵢ + c vᵢ: (b, n) → (b, n).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    base.apply(v, into: &y, vectors: b)
    add(v, times: shift, to: &y)
  }

  /// xᵢ ← Aᵀ uᵢ + c uᵢ: (b, n) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    base.applyAdjoint(u, into: &x, vectors: b)
    add(u, times: shift, to: &x)
  }
}
