import LinearAlgebra

extension Variable {
  /// x + y.
  public static func + (x: Variable, y: Variable) -> Variable {
    combine(x, y, (1, 1)) { $0 + $1 }
  }

  /// x − y.
  public static func - (x: Variable, y: Variable) -> Variable {
    combine(x, y, (1, -1)) { $0 - $1 }
  }

  /// The multiple a x.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public static func * (a: Scalar, x: Variable) -> Variable { x.map { (a * $0, a) } }

  /// The elementwise product x ∘ y.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public static func * (x: Variable, y: Variable) -> Variable {
    requireSameShape(x, y)
    let out = Buffer<Scalar>(count: x.count)
    for i in 0..<x.count { out.base[i] = x.buffer.base[i] * y.buffer.base[i] }
    // d(x ∘ y) = y ∘ dx + x ∘ dy
    return record(
      x, out, [(x.position, y.buffer), (y.position, x.buffer)], trace: trace(of: x, y))
  }

  /// x + c, with one number in c per feature, the same for every row.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func adding(_ c: [Scalar]) -> Variable {
    precondition(c.count == columns, "one number per feature")
    let out = Buffer<Scalar>(count: count)
    for i in 0..<count { out.base[i] = buffer.base[i] + c[i / rows] }
    guard let node else { return Variable(rows: rows, columns: columns, buffer: out) }
    let step = SumStep<Scalar>(terms: [(node.position, 1)], count: count)
    return node.trace.record(step, rows: rows, columns: columns, value: out)
  }

  /// x ∘ c, with one number in c per feature, the same for every row.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func scaled(by c: [Scalar]) -> Variable {
    precondition(c.count == columns, "one number per feature")
    var i = -1
    return map { x in
      i += 1
      return (c[i / rows] * x, c[i / rows])
    }
  }

  /// φ(x), element by element; φ returns its value and its derivative. Elements are visited feature by feature, row
  /// by row.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func map(_ φ: (Scalar) -> (value: Scalar, derivative: Scalar)) -> Variable {
    let out = Buffer<Scalar>(count: count)
    let slope = Buffer<Scalar>(count: count)
    for i in 0..<count { (out.base[i], slope.base[i]) = φ(buffer.base[i]) }
    return Self.record(self, out, [(position, slope)], trace: node?.trace)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  private static func combine(
    _ x: Variable, _ y: Variable, _ signs: (Scalar, Scalar), _ f: (Scalar, Scalar) -> Scalar
  ) -> Variable {
    requireSameShape(x, y)
    let out = Buffer<Scalar>(count: x.count)
    for i in 0..<x.count { out.base[i] = f(x.buffer.base[i], y.buffer.base[i]) }
    guard let trace = trace(of: x, y) else {
      return Variable(rows: x.rows, columns: x.columns, buffer: out)
    }
    let terms = [(x.position, signs.0), (y.position, signs.1)].compactMap { position, sign in
      position.map { ($0, sign) }
    }
    let step = SumStep(terms: terms, count: x.count)
    return trace.record(step, rows: x.rows, columns: x.columns, value: out)
  }

  private static func record(
    _ x: Variable, _ value: Buffer<Scalar>, _ terms: [(Int?, Buffer<Scalar>)],
    trace: Trace<Scalar>?
  ) -> Variable {
    guard let trace else { return Variable(rows: x.rows, columns: x.columns, buffer: value) }
    let active = terms.compactMap { position, d in position.map { ($0, d) } }
    return trace.record(
      DiagonalStep(terms: active), rows: x.rows, columns: x.columns, value: value)
  }

  private static func requireSameShape(_ x: Variable, _ y: Variable) {
    precondition(
      x.rows == y.rows && x.columns == y.columns,
      "shapes (\(x.rows), \(x.columns)) and (\(y.rows), \(y.columns))")
  }
}

/// dy = Σ aₖ dxₖ with scalars aₖ.
private struct SumStep<Scalar: RealScalar>: Primitive {
  let terms: [(position: Int, factor: Scalar)]
  let count: Int

  var inputs: [Int] { terms.map(\.position) }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    for (k, term) in terms.enumerated() {
      addScaled(
        term.factor, workspace.slot(term.position), into: out, count: count * workspace.vectors,
        accumulating: k > 0)
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    for term in terms {
      let (target, accumulating) = workspace.target(of: term.position)
      addScaled(
        term.factor, cotangent, into: target, count: count * workspace.vectors,
        accumulating: accumulating)
    }
  }
}

/// dy = Σ dₖ ∘ dxₖ: products and all elementwise functions. Its own adjoint.
struct DiagonalStep<Scalar: RealScalar>: Primitive {
  let terms: [(position: Int, diagonal: Buffer<Scalar>)]

  var inputs: [Int] { terms.map(\.position) }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    for (k, term) in terms.enumerated() {
      scaleTangents(
        by: term.diagonal.base, workspace.slot(term.position), into: out,
        count: term.diagonal.count, tangents: workspace.vectors, accumulating: k > 0)
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    for term in terms {
      let (target, accumulating) = workspace.target(of: term.position)
      scaleTangents(
        by: term.diagonal.base, cotangent, into: target, count: term.diagonal.count,
        tangents: workspace.vectors, accumulating: accumulating)
    }
  }
}
