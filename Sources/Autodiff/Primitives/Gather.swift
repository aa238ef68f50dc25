import LinearAlgebra

extension Variable {
  /// Some of the features: a slice.
  public func columns(_ range: Range<Int>) -> Variable { gather(columns: Array(range)) }

  /// The features with these indices, in this order; an index may come more than once.
  public func gather(columns indices: [Int]) -> Variable {
    precondition(indices.allSatisfy { $0 >= 0 && $0 < columns }, "features outside the variable")
    let out = Buffer<Scalar>(count: indices.count * rows)
    for (k, c) in indices.enumerated() {
      (out.base + k * rows).update(from: buffer.base + c * rows, count: rows)
    }
    guard let node else { return Variable(rows: rows, columns: indices.count, buffer: out) }
    let step = GatherStep<Scalar>(input: node.position, rows: rows, indices: indices)
    return node.trace.record(step, rows: rows, columns: indices.count, value: out)
  }
}

/// dy[k] = dx[index k]; the adjoint scatters and adds.
private struct GatherStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let rows: Int
  let indices: [Int]

  var inputs: [Int] { [input] }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let tangents = rows * workspace.vectors
    let source = workspace.slot(input)
    for (k, c) in indices.enumerated() {
      (out + k * tangents).update(from: source + c * tangents, count: tangents)
    }
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let tangents = rows * workspace.vectors
    let target = workspace.accumulator(of: input)
    for (k, c) in indices.enumerated() {
      addScaled(
        1, cotangent + k * tangents, into: target + c * tangents, count: tangents,
        accumulating: true)
    }
  }
}
