import Weights
import LinearAlgebra

/// The derivative of a program at one point, as a linear map: J v and Jᵀ u without J.
///
/// The program has run once; what each primitive's tangent needs was kept. An application costs one tangent of every
/// recorded step for all of its vectors together, does no primal work and allocates nothing (the workspace grows only
/// when more vectors come at once than before). As a `LinearOperator`, a vector is the input (or output) matrix row
/// after row. Owns its workspace: not for two threads at once.
public final class Linearization<Scalar: RealScalar>: LinearOperator {
  /// f(x).
  public let value: Matrix<Scalar>
  /// Rows and columns of x.
  public let inputShape: (rows: Int, columns: Int)
  /// Rows and columns of f(x).
  public let outputShape: (rows: Int, columns: Int)

  /// The recorded steps f(x) depends on, in order; nothing else is visited.
  private let steps: [(position: Int, primitive: any Primitive<Scalar>)]
  private let workspace: Workspace<Scalar>
  /// nil when f(x) does not depend on x: J = 0.
  private let outputPosition: Int?

  init(
    trace: Trace<Scalar>, input: (rows: Int, columns: Int), output: Variable<Scalar>
  ) {
    inputShape = input
    outputShape = (output.rows, output.columns)
    value = output.value
    outputPosition = output.position
    // Only what leads to the output: a value computed and not used has no place in an application.
    var needed = Array(repeating: false, count: trace.primitives.count)
    if let last = output.position { needed[last] = true }
    for position in needed.indices.reversed() where needed[position] {
      for input in trace.primitives[position]?.inputs ?? [] { needed[input] = true }
    }
    steps = zip(trace.primitives.indices, trace.primitives).compactMap { position, primitive in
      guard needed[position], let primitive else { return nil }
      return (position, primitive)
    }
    workspace = Workspace(
      counts: zip(trace.counts, needed).map { $1 ? $0 : 0 },
      scratch: steps.map(\.primitive.scratchCount).max() ?? 0)
  }

  /// n: rows · columns of x.
  public var inputDimension: Int { inputShape.rows * inputShape.columns }
  /// m: rows · columns of f(x).
  public var outputDimension: Int { outputShape.rows * outputShape.columns }

  /// Bytes of workspace an application to `b` vectors needs.
  public func workspaceBytes(vectors b: Int) -> Int { workspace.byteCount(vectors: b) }

  /// Gives the workspace back until the next application; the saved values stay.
  public func releaseWorkspace() { workspace.release() }

  /// yᵢ ← J vᵢ for b tangents, each a matrix shaped like x, row after row.
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    apply(v, into: &y, vectors: b, order: .vectors)
  }

  /// xᵢ ← Jᵀ uᵢ for b cotangents, each a matrix shaped like f(x), row after row.
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    applyAdjoint(u, into: &x, vectors: b, order: .vectors)
  }

  /// The same, with the rows as problems of their own: (rows, b, columns) → (rows, b, columns of f(x)).
  ///
  /// Where f acts on each row by itself, J is block diagonal, and this applies block r to the b vectors of row r.
  public func applyRows(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    apply(v, into: &y, vectors: b, order: .rows)
  }

  /// The adjoint of `applyRows`.
  public func applyRowsAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int
  ) {
    applyAdjoint(u, into: &x, vectors: b, order: .rows)
  }

  private func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, order: VectorOrder
  ) {
    precondition(v.count == b * inputDimension && y.count == b * outputDimension, "wrong length")
    guard let outputPosition else { return clear(&y) }
    workspace.begin(vectors: b)
    v.withUnsafeBufferPointer {
      interleave($0.baseAddress!, inputShape, b, order, into: workspace.slot(0))
    }
    for step in steps { step.primitive.jvp(workspace, into: workspace.slot(step.position)) }
    y.withUnsafeMutableBufferPointer {
      deinterleave(workspace.slot(outputPosition), outputShape, b, order, into: $0.baseAddress!)
    }
  }

  private func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, order: VectorOrder
  ) {
    precondition(u.count == b * outputDimension && x.count == b * inputDimension, "wrong length")
    guard let outputPosition else { return clear(&x) }
    workspace.begin(vectors: b)
    u.withUnsafeBufferPointer {
      interleave(
        $0.baseAddress!, outputShape, b, order, into: workspace.target(of: outputPosition).0)
    }
    for step in steps.reversed() where workspace.isTouched(step.position) {
      step.primitive.vjp(workspace, workspace.slot(step.position))
    }
    guard workspace.isTouched(0) else { return clear(&x) }
    x.withUnsafeMutableBufferPointer {
      deinterleave(workspace.slot(0), inputShape, b, order, into: $0.baseAddress!)
    }
  }

  private func clear(_ span: inout MutableSpan<Double>) {
    for i in span.indices { span[i] = 0 }
  }

  /// J v: `tangent` has the shape of x, the result that of f(x). Allocates; for tests and small uses.
  public func jvp(_ tangent: Matrix<Scalar>) -> Matrix<Scalar> {
    precondition((tangent.rows, tangent.columns) == inputShape, "a tangent has the shape of x")
    let flat = Matrix(rows: 1, columns: inputDimension, elements: tangent.elements)
    return Matrix(
      rows: outputShape.rows, columns: outputShape.columns,
      elements: apply(flat.converted(to: Double.self)).converted(to: Scalar.self).elements)
  }

  /// Jᵀ u: `cotangent` has the shape of f(x), the result that of x. Allocates; for tests and small uses.
  public func vjp(_ cotangent: Matrix<Scalar>) -> Matrix<Scalar> {
    precondition(
      (cotangent.rows, cotangent.columns) == outputShape, "a cotangent has the shape of f(x)")
    let flat = Matrix(rows: 1, columns: outputDimension, elements: cotangent.elements)
    return Matrix(
      rows: inputShape.rows, columns: inputShape.columns,
      elements: applyAdjoint(flat.converted(to: Double.self)).converted(to: Scalar.self).elements)
  }
}

/// How b matrices of some rows lie one after another outside.
private enum VectorOrder {
  /// (b, rows, columns): each vector a whole matrix.
  case vectors
  /// (rows, b, columns): each row with its b vectors.
  case rows

  /// Where row r of vector j begins, in rows.
  @inline(__always)
  func start(_ j: Int, _ r: Int, _ b: Int, _ rows: Int) -> Int {
    self == .vectors ? j * rows + r : r * b + j
  }
}

/// A transposition by tiles that fit the first cache on both sides, the strips of columns side by side on all threads.
///
/// Every tile writes numbers of its own, so the callers' pointers may be shared.
@inline(__always)
private func forEachTile(
  _ lanes: Int, _ columns: Int,
  _ body: @Sendable (_ lanes: Range<Int>, _ columns: Range<Int>) -> Void
) {
  let (side, strip) = (32, 64)
  let strips = (columns + strip - 1) / strip
  @Sendable func run(_ i: Int) {
    let part = i * strip..<min(columns, (i + 1) * strip)
    for lane in stride(from: 0, to: lanes, by: side) {
      body(lane..<min(lanes, lane + side), part)
    }
  }
  if lanes * columns < 1 << 15 {
    for i in 0..<strips { run(i) }
  } else {
    Engine.forEach(strips, run)
  }
}

/// Vectors → feature c, row r, vector j at [(c · rows + r) · b + j].
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
private func interleave<Scalar: RealScalar>(
  _ source: UnsafePointer<Double>, _ shape: (rows: Int, columns: Int), _ b: Int,
  _ order: VectorOrder, into target: UnsafeMutablePointer<Scalar>
) {
  let lanes = shape.rows * b
  nonisolated(unsafe) let (source, target) = (source, target)
  forEachTile(lanes, shape.columns) { tile, columns in
    for lane in tile {
      let row = source + order.start(lane % b, lane / b, b, shape.rows) * shape.columns
      for c in columns { target[c * lanes + lane] = Scalar(row[c]) }
    }
  }
}

/// The way back.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
private func deinterleave<Scalar: RealScalar>(
  _ source: UnsafePointer<Scalar>, _ shape: (rows: Int, columns: Int), _ b: Int,
  _ order: VectorOrder, into target: UnsafeMutablePointer<Double>
) {
  let lanes = shape.rows * b
  nonisolated(unsafe) let (source, target) = (source, target)
  forEachTile(lanes, shape.columns) { tile, columns in
    for lane in tile {
      let row = target + order.start(lane % b, lane / b, b, shape.rows) * shape.columns
      for c in columns { row[c] = Double(source[c * lanes + lane]) }
    }
  }
}
