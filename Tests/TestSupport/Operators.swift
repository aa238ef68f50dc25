public import LinearAlgebra

/// An operator with chosen singular values: A = U diag(σ) Vᵀ with seeded random orthonormal U (r, m) and V (r, n).
public func operatorWithSpectrum(
  _ values: [Double], rows m: Int, columns n: Int, seed: UInt64
) -> DenseOperator {
  var generator = SeededGenerator(seed: seed)
  let r = values.count
  let u = generator.normalMatrix(rows: r, columns: m).orthonormalizedRows()
  let v = generator.normalMatrix(rows: r, columns: n).orthonormalizedRows()
  var scaled = v
  for i in 0..<r { for j in 0..<n { scaled[i, j] *= values[i] } }
  return DenseOperator(.product(u, .transposed, scaled))
}

/// An operator made of two closures on single vectors, for maps that are easier to compute than to store.
public final class ClosureOperator: LinearOperator {
  /// n, the length of an input.
  public let inputDimension: Int
  /// m, the length of an output.
  public let outputDimension: Int
  private let forward: ([Double]) -> [Double]
  private let backward: ([Double]) -> [Double]

  /// The operator v ↦ `forward(v)`, u ↦ `adjoint(u)`. The closures need not be adjoint, so that tests can break that rule.
  public init(
    inputDimension: Int, outputDimension: Int, forward: @escaping ([Double]) -> [Double],
    adjoint: @escaping ([Double]) -> [Double]
  ) {
    self.inputDimension = inputDimension
    self.outputDimension = outputDimension
    self.forward = forward
    self.backward = adjoint
  }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    each(v, of: inputDimension, into: &y, vectors: b, forward)
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    each(u, of: outputDimension, into: &x, vectors: b, backward)
  }

  private func each(
    _ v: Span<Double>, of length: Int, into y: inout MutableSpan<Double>, vectors b: Int,
    _ map: ([Double]) -> [Double]
  ) {
    var position = 0
    for i in 0..<b {
      for value in map((0..<length).map { v[i * length + $0] }) {
        y[position] = value
        position += 1
      }
    }
  }
}

/// An operator that checks the protocol: it fills the output with NaN before each product, and checks the shapes, and that
/// the product leaves the input unchanged.
///
/// Violations are collected in `violations`, so that a test can report them.
public final class StrictOperator: LinearOperator {
  private let base: any LinearOperator
  /// The violations, in order.
  public private(set) var violations: [String] = []
  /// The largest number of vectors in one application.
  public private(set) var widest = 0
  /// The number of applications.
  public private(set) var count = ApplicationCount()

  /// Wraps `base`.
  public init(_ base: any LinearOperator) { self.base = base }

  /// n, the length of an input.
  public var inputDimension: Int { base.inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { base.outputDimension }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    count.jvp += b
    watch(v, inputDimension, &y, outputDimension, b) { base.apply($0, into: &$1, vectors: b) }
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    count.vjp += b
    watch(u, outputDimension, &x, inputDimension, b) {
      base.applyAdjoint($0, into: &$1, vectors: b)
    }
  }

  private func watch(
    _ v: Span<Double>, _ from: Int, _ y: inout MutableSpan<Double>, _ to: Int, _ b: Int,
    _ product: (Span<Double>, inout MutableSpan<Double>) -> Void
  ) {
    count.passes += 1
    widest = max(widest, b)
    if b < 1 { violations.append("\(b) vectors") }
    if v.count != b * from { violations.append("input of \(v.count) for \(b) × \(from)") }
    if y.count != b * to { violations.append("output of \(y.count) for \(b) × \(to)") }
    let before = v.indices.map { v[$0] }
    if !before.allSatisfy(\.isFinite) { violations.append("input not finite") }
    for i in y.indices { y[i] = .nan }
    product(v, &y)
    if !v.indices.allSatisfy({ v[$0].bitPattern == before[$0].bitPattern }) {
      violations.append("input changed")
    }
  }
}

/// An operator as a single-precision program would compute it: inputs and outputs are rounded to `Float`.
public final class SinglePrecisionOperator: LinearOperator {
  private let base: any LinearOperator

  /// Rounds the inputs and outputs of `base`.
  public init(_ base: any LinearOperator) { self.base = base }

  /// n, the length of an input.
  public var inputDimension: Int { base.inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { base.outputDimension }

  /// yᵢ ← A vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    let rounded = v.indices.map { Double(Float(v[$0])) }
    base.apply(rounded.span, into: &y, vectors: b)
    for i in y.indices { y[i] = Double(Float(y[i])) }
  }

  /// xᵢ ← Aᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    let rounded = u.indices.map { Double(Float(u[$0])) }
    base.applyAdjoint(rounded.span, into: &x, vectors: b)
    for i in x.indices { x[i] = Double(Float(x[i])) }
  }
}
