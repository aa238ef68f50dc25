/// A₁ A₂ … Aₙ, with the last factor applied first: an application costs one of every factor.
///
/// Besides the factors' own workspace it needs at most two blocks of intermediate vectors, whatever n is.
public final class ComposedOperator: LinearOperator {
  private let factors: [any LinearOperator]
  private let buffers = (VectorBuffer(), VectorBuffer())

  /// The product of at least one factor, in the order of the formula. Precondition: every factor's input is as long
  /// as the next one's output.
  public init(_ factors: [any LinearOperator]) {
    precondition(!factors.isEmpty, "a product has at least one factor")
    for (a, b) in zip(factors, factors.dropFirst()) {
      precondition(
        a.inputDimension == b.outputDimension,
        "outputs of length \(b.outputDimension) for inputs of length \(a.inputDimension)")
    }
    self.factors = factors
  }

  /// n, the length of an input.
  public var inputDimension: Int { factors[factors.count - 1].inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { factors[0].outputDimension }
  /// The team that holds the vectors.
  public var innerProducts: (any InnerProducts)? { factors[0].innerProducts }

  /// yᵢ ← A₁ (A₂ (… Aₙ vᵢ)): (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    chain(.forward, v, into: &y, vectors: b)
  }

  /// xᵢ ← Aₙᵀ (… A₂ᵀ (A₁ᵀ uᵢ)): (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    chain(.adjoint, u, into: &x, vectors: b)
  }

  private func chain(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int
  ) {
    let last = factors.count - 1
    guard last > 0 else { return factors[0].apply(direction, v, into: &y, vectors: b) }
    // Step i applies factor `last − i`, or factor i of the adjoint, from one buffer into the other.
    func factor(_ i: Int) -> any LinearOperator {
      factors[direction == .forward ? last - i : i]
    }
    func room(_ i: Int) -> UnsafeMutableBufferPointer<Double> {
      (i % 2 == 0 ? buffers.0 : buffers.1).room(for: b * factor(i).outputDimension(direction))
    }
    var from = room(0)
    var product = from.mutableSpan
    factor(0).apply(direction, v, into: &product, vectors: b)
    for i in 1..<last {
      let to = room(i)
      var product = to.mutableSpan
      factor(i).apply(direction, from.span, into: &product, vectors: b)
      from = to
    }
    factor(last).apply(direction, from.span, into: &y, vectors: b)
  }
}
