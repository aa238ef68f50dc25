import Weights
import LinearAlgebra

/// The derivative of a program at one point, as a linear map: J v and Jᵀ u without J.
///
/// The program has run once, and the values that each primitive's rules need were saved. An application costs one
/// tangent of every recorded step for all of its vectors together, repeats no primal work and allocates nothing (the
/// workspace grows only when there are more vectors at once than before). As a `LinearOperator` its vectors are the
/// input and output matrices, row by row. It owns its workspace, so it must not be used from two threads at once.
public final class Linearization<Scalar: RealScalar>: LinearOperator {
  /// The value f(x).
  public let value: Matrix<Scalar>
  /// The rows and columns of x.
  public let inputShape: (rows: Int, columns: Int)
  /// The rows and columns of f(x).
  public let outputShape: (rows: Int, columns: Int)

  /// The recorded steps that f(x) depends on, in order, and the memory of an application; no other steps are visited.
  private struct Program {
    let steps: [(position: Int, primitive: any Primitive<Scalar>)]
    let workspace: Workspace<Scalar>
  }
  /// The program of applications to at most `Engine.independentVectors` vectors, and that of wider ones, of which some steps may be
  /// others.
  private let thin, wide: Program
  /// The position of f(x) on the trace; nil if f(x) does not depend on x, so that J = 0.
  private let outputPosition: Int?

  /// The matrices of fused maps, which are freed with the workspace.
  private let fused: [FormedMatrix]

  init(
    trace: Trace<Scalar>, input: (rows: Int, columns: Int), output: Variable<Scalar>,
    fusesLinearMaps: Bool
  ) {
    let (primitives, replacements) = fusesLinearMaps ? trace.fused() : (trace.primitives, [:])
    inputShape = input
    outputShape = (output.rows, output.columns)
    value = output.value
    outputPosition = output.position
    thin = Self.program(of: primitives, trace.counts, for: output.position)
    wide =
      replacements.isEmpty
      ? thin
      : Self.program(
        of: primitives.enumerated().map { replacements[$0] ?? $1 }, trace.counts,
        for: output.position)
    fused = thin.steps.flatMap { ($0.primitive as? any FusedPrimitive<Scalar>)?.matrices ?? [] }
    isFused = thin.steps.contains {
      ($0.primitive as? FusedLinearStep<Scalar>).map { $0.stored == nil } ?? false
    }
    portionBytes =
      wide.steps.compactMap { ($0.primitive as? PortionedLinearStep<Scalar>)?.portionBytes }.max()
      ?? 0
  }

  /// The steps among `primitives` that lead to the output: applications skip values that were computed and not used. `counts` are
  /// the numbers of each position.
  private static func program(
    of primitives: [(any Primitive<Scalar>)?], _ counts: [Int], for output: Int?
  ) -> Program {
    var lastUse: [Int?] = Array(repeating: nil, count: primitives.count)
    if let output { lastUse[output] = primitives.count }
    for position in lastUse.indices.reversed() where lastUse[position] != nil {
      for input in primitives[position]?.inputs ?? [] where lastUse[input] == nil {
        lastUse[input] = position
      }
    }
    let steps = zip(primitives.indices, primitives).compactMap { position, primitive in
      lastUse[position] == nil ? nil : primitive.map { (position, $0) }
    }
    let slots = zip(counts.indices, counts).map { position, count in
      let last = lastUse[position]
      return Workspace<Scalar>.Slot(
        count: last == nil ? 0 : count, first: position, last: last ?? position)
    }
    return Program(
      steps: steps,
      workspace: Workspace(slots, scratch: steps.map(\.1.scratchCount).max() ?? 0))
  }

  private func program(vectors b: Int) -> Program { b > Engine.independentVectors ? wide : thin }

  /// n: rows · columns of x.
  public var inputDimension: Int { inputShape.rows * inputShape.columns }
  /// m: rows · columns of f(x).
  public var outputDimension: Int { outputShape.rows * outputShape.columns }

  /// Whether linear maps of a row are fused to matrices of this linearization's own, so that others have more to lose than to gain
  /// by sharing its applications. A fused attention alone does not make it so.
  public let isFused: Bool

  /// The bytes of the fused maps while they are formed.
  public var fusedBytes: Int { fused.reduce(0) { $0 + $1.byteCount } }

  /// The bytes of a map that wide applications form in portions, one portion at a time.
  private let portionBytes: Int

  /// The bytes of workspace that an application to `b` vectors needs, with those of fused maps.
  public func workspaceBytes(vectors b: Int) -> Int {
    program(vectors: b).workspace.byteCount(vectors: b) + fusedBytes
      + (b > Engine.independentVectors ? portionBytes : 0)
  }

  /// The bytes of stored weights that an application reads, for any number of vectors.
  public var weightBytes: Int { thin.steps.reduce(0) { $0 + $1.primitive.weightBytes } }

  /// Frees the workspace and fused maps until the next application; the saved values stay.
  public func releaseWorkspace() {
    thin.workspace.release()
    wide.workspace.release()
    for map in fused { map.release() }
  }

  /// yᵢ ← J vᵢ for b tangents, each a matrix shaped like x, row by row.
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    apply(v, into: &y, vectors: b, order: .vectors)
  }

  /// xᵢ ← Jᵀ uᵢ for b cotangents, each a matrix shaped like f(x), row by row.
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    applyAdjoint(u, into: &x, vectors: b, order: .vectors)
  }

  /// The rows of x as a batch, for an f that acts on each row separately: J is block diagonal, and these are its
  /// blocks.
  public var rows: LinearizedRows<Scalar> { LinearizedRows(self) }

  /// The product in either direction with vectors of either precision, which is how they come and go, not how they are
  /// multiplied.
  package func product<Outer: RealScalar>(
    _ direction: ProductDirection, _ v: Span<Outer>, into y: inout MutableSpan<Outer>,
    vectors b: Int
  ) {
    switch direction {
    case .forward: apply(v, into: &y, vectors: b, order: .vectors)
    case .adjoint: applyAdjoint(v, into: &y, vectors: b, order: .vectors)
    }
  }

  @_specialize(where Scalar == Float, Outer == Double)
  @_specialize(where Scalar == Double, Outer == Double)
  func apply<Outer: RealScalar>(
    _ v: Span<Outer>, into y: inout MutableSpan<Outer>, vectors b: Int, order: VectorOrder
  ) {
    precondition(
      v.count == b * order.rows(of: inputShape.rows) * inputShape.columns
        && y.count == b * order.rows(of: outputShape.rows) * outputShape.columns, "wrong length")
    guard let outputPosition else { return clear(&y) }
    let program = program(vectors: b)
    let workspace = program.workspace
    workspace.begin(vectors: b)
    v.withUnsafeBufferPointer {
      interleave($0.baseAddress!, inputShape, b, order, into: workspace.slot(0))
    }
    for step in program.steps {
      step.primitive.jvp(workspace, into: workspace.slot(step.position))
    }
    y.withUnsafeMutableBufferPointer {
      deinterleave(workspace.slot(outputPosition), outputShape, b, order, into: $0.baseAddress!)
    }
  }

  @_specialize(where Scalar == Float, Outer == Double)
  @_specialize(where Scalar == Double, Outer == Double)
  func applyAdjoint<Outer: RealScalar>(
    _ u: Span<Outer>, into x: inout MutableSpan<Outer>, vectors b: Int, order: VectorOrder
  ) {
    precondition(
      u.count == b * order.rows(of: outputShape.rows) * outputShape.columns
        && x.count == b * order.rows(of: inputShape.rows) * inputShape.columns, "wrong length")
    guard let outputPosition else { return clear(&x) }
    let program = program(vectors: b)
    let workspace = program.workspace
    workspace.begin(vectors: b)
    u.withUnsafeBufferPointer {
      interleave(
        $0.baseAddress!, outputShape, b, order, into: workspace.target(of: outputPosition).0)
    }
    for step in program.steps.reversed() where workspace.isTouched(step.position) {
      step.primitive.vjp(workspace, workspace.slot(step.position))
    }
    guard workspace.isTouched(0) else { return clear(&x) }
    x.withUnsafeMutableBufferPointer {
      deinterleave(workspace.slot(0), inputShape, b, order, into: $0.baseAddress!)
    }
  }

  private func clear<Outer: RealScalar>(_ span: inout MutableSpan<Outer>) {
    for i in span.indices { span[i] = 0 }
  }

  /// J v, for a `tangent` of the shape of x; the result has the shape of f(x). Allocates; for tests and small uses.
  public func jvp(_ tangent: Matrix<Scalar>) -> Matrix<Scalar> {
    precondition((tangent.rows, tangent.columns) == inputShape, "a tangent has the shape of x")
    let flat = Matrix(rows: 1, columns: inputDimension, elements: tangent.elements)
    return Matrix(
      rows: outputShape.rows, columns: outputShape.columns,
      elements: apply(flat.converted(to: Double.self)).converted(to: Scalar.self).elements)
  }

  /// Jᵀ u, for a `cotangent` of the shape of f(x); the result has the shape of x. Allocates; for tests and small
  /// uses.
  public func vjp(_ cotangent: Matrix<Scalar>) -> Matrix<Scalar> {
    precondition(
      (cotangent.rows, cotangent.columns) == outputShape, "a cotangent has the shape of f(x)")
    let flat = Matrix(rows: 1, columns: outputDimension, elements: cotangent.elements)
    return Matrix(
      rows: inputShape.rows, columns: inputShape.columns,
      elements: applyAdjoint(flat.converted(to: Double.self)).converted(to: Scalar.self).elements)
  }
}

/// Frees the memory of fused maps that no linearization uses now; otherwise it is kept for the next ones.
public func freeSpareMaps() { FormedMatrix.freeSpareMemory() }
