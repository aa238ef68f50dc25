import LinearAlgebra

extension Variable {
  /// The rows with these indices, in this order.
  public func rows(_ indices: [Int]) -> Variable { moved(indices.count, from: indices, to: nil) }

  /// Places the rows at `indices` of a variable of `count` rows, the others 0: the adjoint of `rows(_:)`.
  public func scatter(to indices: [Int], of count: Int) -> Variable {
    precondition(indices.count == rows, "one index per row")
    return moved(count, from: nil, to: indices)
  }

  private func moved(_ count: Int, from: [Int]?, to: [Int]?) -> Variable {
    let (large, indices) = from.map { (rows, $0) } ?? (count, to ?? [])
    precondition(indices.allSatisfy { $0 >= 0 && $0 < large }, "rows outside the variable")
    let step = RowStep<Scalar>(
      input: position, columns: columns, large: large, indices: indices, scatters: from == nil)
    let out = Buffer<Scalar>(count: columns * count)
    step.move(
      buffer.base, into: out.base, tangents: 1, scatters: step.scatters, accumulating: false)
    guard let node else { return Variable(rows: count, columns: columns, buffer: out) }
    return node.trace.record(step, rows: count, columns: columns, value: out)
  }
}

/// Selects rows out of a larger number, or places them there; each is the other's adjoint.
private struct RowStep<Scalar: RealScalar>: Primitive {
  let input: Int?
  let columns: Int
  /// The number of rows on the larger side.
  let large: Int
  let indices: [Int]
  let scatters: Bool

  var inputs: [Int] { input.map { [$0] } ?? [] }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    guard let input else { return }
    move(
      workspace.slot(input), into: out, tangents: workspace.vectors, scatters: scatters,
      accumulating: false)
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    guard let input else { return }
    let (target, accumulating) = workspace.target(of: input)
    move(
      cotangent, into: target, tangents: workspace.vectors, scatters: !scatters,
      accumulating: accumulating)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func move(
    _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, tangents b: Int,
    scatters: Bool,
    accumulating: Bool
  ) {
    let small = indices.count
    // A row may be selected more than once; its cotangents then add up.
    if scatters && !accumulating { y.update(repeating: 0, count: columns * large * b) }
    for c in 0..<columns {
      for (k, r) in indices.enumerated() {
        let (few, many) = ((c * small + k) * b, (c * large + r) * b)
        if scatters {
          axpy(1, x + few, y + many, b, true)
        } else {
          axpy(1, x + many, y + few, b, accumulating)
        }
      }
    }
  }
}
