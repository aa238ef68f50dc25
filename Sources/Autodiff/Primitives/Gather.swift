import LinearAlgebra

extension Variable {
  /// The features in `range`, a slice.
  public func columns(_ range: Range<Int>) -> Variable { gather(columns: Array(range)) }

  /// The features with these indices, in this order; an index may occur more than once.
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
struct GatherStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let rows: Int
  let indices: [Int]

  var inputs: [Int] { [input] }

  /// The features if they are consecutive.
  var slice: Range<Int>? {
    guard let first = indices.first, indices.elementsEqual(first..<first + indices.count) else {
      return nil
    }
    return first..<first + indices.count
  }

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

extension Variable {
  /// The features of all parts, one part after another. Precondition: there is at least one part, and all have the
  /// same number of rows.
  public static func joined(_ parts: [Variable]) -> Variable {
    let (rows, columns) = (parts[0].rows, parts.reduce(0) { $0 + $1.columns })
    precondition(parts.allSatisfy { $0.rows == rows }, "the parts differ in their number of rows")
    let out = Buffer<Scalar>(count: columns * rows)
    var first = 0
    for part in parts {
      (out.base + first * rows).update(from: part.buffer.base, count: part.count)
      first += part.columns
    }
    guard let trace = parts.lazy.compactMap(\.node).first?.trace else {
      return Variable(rows: rows, columns: columns, buffer: out)
    }
    let step = JoinStep<Scalar>(
      parts: parts.map { (position: $0.position, columns: $0.columns) }, rows: rows)
    return trace.record(step, rows: rows, columns: columns, value: out)
  }
}

/// dy is the concatenation of the parts' dx, 0 for a constant part; the adjoint of each part is its slice.
private struct JoinStep<Scalar: RealScalar>: Primitive {
  let parts: [(position: Int?, columns: Int)]
  let rows: Int

  var inputs: [Int] { parts.compactMap(\.position) }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    var out = out
    for (position, columns) in parts {
      let count = columns * rows * workspace.vectors
      if let position {
        out.update(from: workspace.slot(position), count: count)
      } else {
        out.update(repeating: 0, count: count)
      }
      out += count
    }
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    var cotangent = cotangent
    for (position, columns) in parts {
      let count = columns * rows * workspace.vectors
      if let position {
        let (target, accumulating) = workspace.target(of: position)
        addScaled(1, cotangent, into: target, count: count, accumulating: accumulating)
      }
      cotangent += count
    }
  }
}
