/// A linear map A : ℝⁿ → ℝᵐ, known only by what it does: a batch of one.
///
/// `b` vectors at a time, one after another, each contiguous. Solvers see nothing else, so an operator may be a matrix,
/// a composition, or the derivative of a program. Not for two threads at once unless the conforming type says so.
public protocol LinearOperator: BatchedOperator {
  /// n, the length of an input.
  var inputDimension: Int { get }
  /// m, the length of an output.
  var outputDimension: Int { get }
  /// yᵢ ← A vᵢ for i < b: (b, n) → (b, m). Overwrites `y`, leaves `v` alone.
  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int)
  /// xᵢ ← Aᵀ uᵢ for i < b: (b, m) → (b, n). Overwrites `x`, leaves `u` alone.
  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int)
}

extension LinearOperator {
  /// 1.
  public var batch: Int { 1 }

  /// A itself.
  public func member(_ p: Int) -> any LinearOperator { self }

  /// A applied as the only member of its batch.
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { apply(v, into: &y, vectors: b) }

  /// Aᵀ applied as the only member of its batch.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { applyAdjoint(u, into: &x, vectors: b) }

  /// One application in either direction.
  package func apply(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int
  ) {
    switch direction {
    case .forward: apply(v, into: &y, vectors: b)
    case .adjoint: applyAdjoint(v, into: &y, vectors: b)
    }
  }

  /// A applied to every row of `v` (b, n): (b, m). The allocating form.
  public func apply(_ v: Matrix<Double>) -> Matrix<Double> {
    precondition(
      v.columns == inputDimension, "vectors of \(v.columns) for an input of \(inputDimension)")
    var y = Matrix<Double>(rows: v.rows, columns: outputDimension)
    var span = y.elements.mutableSpan
    apply(v.elements.span, into: &span, vectors: v.rows)
    return y
  }

  /// Aᵀ applied to every row of `u` (b, m): (b, n). The allocating form.
  public func applyAdjoint(_ u: Matrix<Double>) -> Matrix<Double> {
    precondition(
      u.columns == outputDimension, "vectors of \(u.columns) for an output of \(outputDimension)")
    var x = Matrix<Double>(rows: u.rows, columns: inputDimension)
    var span = x.elements.mutableSpan
    applyAdjoint(u.elements.span, into: &span, vectors: u.rows)
    return x
  }

  /// A itself, built densely (m, n) in blocks of `block` unit vectors; from the smaller side, so min(m, n) vectors.
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
