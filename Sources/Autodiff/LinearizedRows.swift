public import LinearAlgebra

/// The rows of a linearization as a batch of operators that are applied together: the J of row r takes that row's
/// tangents.
///
/// It is for programs that act on each row of x separately. Inactive rows are computed with zeros as input, so that
/// the result of a row does not depend on which others are active. It shares the linearization's workspace.
public final class LinearizedRows<Scalar: RealScalar>: BatchedOperator {
  private let whole: Linearization<Scalar>
  /// The order of the last application, which the next one usually uses as well.
  private var last: (active: [Int], order: VectorOrder)?

  init(_ whole: Linearization<Scalar>) {
    precondition(
      whole.inputShape.rows == whole.outputShape.rows, "f(x) must have as many rows as x")
    self.whole = whole
  }

  /// The number of rows of x.
  public var batch: Int { whole.inputShape.rows }
  /// The number of columns of x.
  public var inputDimension: Int { whole.inputShape.columns }
  /// The number of columns of f(x).
  public var outputDimension: Int { whole.outputShape.columns }

  /// yᵣ ← Jᵣ vᵣ for every active row, b tangents each: (active, b, columns) → (active, b, columns of f(x)).
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { whole.apply(v, into: &y, vectors: b, order: order(active)) }

  /// xᵣ ← Jᵣᵀ uᵣ for every active row, b cotangents each.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { whole.applyAdjoint(u, into: &x, vectors: b, order: order(active)) }

  private func order(_ active: [Int]) -> VectorOrder {
    if let last, last.active == active { return last.order }
    var places = [Int?](repeating: nil, count: batch)
    for (place, row) in active.enumerated() { places[row] = place }
    let order = VectorOrder.rows(places: places, active: active.count)
    last = (active, order)
    return order
  }
}
