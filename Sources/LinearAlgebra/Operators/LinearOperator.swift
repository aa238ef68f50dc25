/// A linear map A : ℝⁿ → ℝᵐ, known only by its products: a batch of one.
///
/// It is applied to `b` vectors at a time, one after another in memory, each contiguous. Solvers know nothing else
/// about it, so an operator may be a matrix, a composition, or the derivative of a program. It must not be used from
/// two threads at once unless the conforming type allows it.
public protocol LinearOperator: BatchedOperator {
  /// n, the length of an input.
  var inputDimension: Int { get }
  /// m, the length of an output.
  var outputDimension: Int { get }
  /// yᵢ ← A vᵢ for i < b: (b, n) → (b, m). Overwrites `y` and leaves `v` unchanged.
  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int)
  /// xᵢ ← Aᵀ uᵢ for i < b: (b, m) → (b, n). Overwrites `x` and leaves `u` unchanged.
  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int)
}

extension LinearOperator {
  /// 1: an operator is a batch of one.
  public var batch: Int { 1 }

  /// The operator itself.
  public func member(_ p: Int) -> any LinearOperator { self }

  /// Applies A as the only member of its batch.
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { apply(v, into: &y, vectors: b) }

  /// Applies Aᵀ as the only member of its batch.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { applyAdjoint(u, into: &x, vectors: b) }

  /// Makes one application in the given direction.
  package func apply(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int
  ) {
    switch direction {
    case .forward: apply(v, into: &y, vectors: b)
    case .adjoint: applyAdjoint(v, into: &y, vectors: b)
    }
  }

  /// A applied to every row of `v` (b, n), as a new matrix (b, m).
  public func apply(_ v: Matrix<Double>) -> Matrix<Double> {
    precondition(
      v.columns == inputDimension, "vectors of length \(v.columns), inputs of \(inputDimension)")
    var y = Matrix<Double>(rows: v.rows, columns: outputDimension)
    var span = y.elements.mutableSpan
    apply(v.elements.span, into: &span, vectors: v.rows)
    return y
  }

  /// Aᵀ applied to every row of `u` (b, m), as a new matrix (b, n).
  public func applyAdjoint(_ u: Matrix<Double>) -> Matrix<Double> {
    precondition(
      u.columns == outputDimension, "vectors of length \(u.columns), outputs of \(outputDimension)")
    var x = Matrix<Double>(rows: u.rows, columns: inputDimension)
    var span = x.elements.mutableSpan
    applyAdjoint(u.elements.span, into: &span, vectors: u.rows)
    return x
  }

  /// The matrix of A (m, n), built in blocks of `block` unit vectors of the smaller side, min(m, n) in all.
  public func materialized(block: Int = 64) -> Matrix<Double> {
    let isWide = outputDimension < inputDimension
    let direction: ProductDirection = isWide ? .adjoint : .forward
    let rows = products(
      of: [.identity(min(outputDimension, inputDimension))], active: [0],
      length: outputDimension(direction), width: block
    ) { apply(direction, $0, into: &$1, vectors: $2, active: $3) }[0]
    return isWide ? rows : rows.transposed
  }
}
