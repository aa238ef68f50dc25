import LinearAlgebra

/// The middle factor of a map.
enum MapCore: Sendable {
  /// The diagonal matrix diag(σ).
  case diagonal([Double])
  /// One block, repeated as often as it fits.
  case copies(Matrix<Double>)
  /// The adjacency of a ring: every input is added to both of its neighbours.
  case ring
}

/// A reflection I − β w wᵀ, orthogonal for β = 2 / wᵀw.
struct Reflection<Scalar: RealScalar>: Sendable {
  let vector: [Scalar]
  let factor: Scalar

  /// Precondition: the vector is not zero.
  init(_ vector: [Double]) {
    self.vector = vector.map { Scalar($0) }
    factor = Scalar(2 / vector.reduce(0) { $0 + $1 * $1 })
  }

  func apply(to x: inout [Scalar]) {
    var sum: Scalar = 0
    for j in x.indices { sum += vector[j] * x[j] }
    sum *= factor
    for j in x.indices { x[j] -= sum * vector[j] }
  }
}

/// A square map with a spectrum that is known, cheap to apply: A = U C Vᵀ, U and V products of a few reflections.
///
/// It computes in `Scalar` throughout, and its own numbers are rounded to that.
final class HardOperator<Scalar: RealScalar>: LinearOperator {
  let size: Int
  private let diagonal: [Scalar]
  private let block: Matrix<Scalar>?
  private let left: [Reflection<Scalar>]
  private let right: [Reflection<Scalar>]
  private var x: [Scalar]
  private var y: [Scalar]

  /// U is the product of the reflections along `left`, the last one first, V that along `right`, the first one first.
  init(size n: Int, _ core: MapCore, left: [[Double]], right: [[Double]]) {
    size = n
    switch core {
    case .diagonal(let values): (diagonal, block) = (values.map { Scalar($0) }, nil)
    case .copies(let matrix): (diagonal, block) = ([], matrix.converted(to: Scalar.self))
    case .ring: (diagonal, block) = ([], nil)
    }
    self.left = left.map { Reflection($0) }
    self.right = right.map { Reflection($0) }
    (x, y) = (Array(repeating: 0, count: n), Array(repeating: 0, count: n))
  }

  var inputDimension: Int { size }
  var outputDimension: Int { size }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    each(v, into: &y, vectors: b) {
      for reflection in right { reflection.apply(to: &x) }
      pass(transposed: false)
      for reflection in left { reflection.apply(to: &x) }
    }
  }

  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    each(u, into: &x, vectors: b) {
      for reflection in left.reversed() { reflection.apply(to: &self.x) }
      pass(transposed: true)
      for reflection in right.reversed() { reflection.apply(to: &self.x) }
    }
  }

  private func each(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, _ body: () -> Void
  ) {
    for i in 0..<b {
      for j in 0..<size { x[j] = Scalar(v[i * size + j]) }
      body()
      for j in 0..<size { y[i * size + j] = Double(x[j]) }
    }
  }

  private func pass(transposed: Bool) {
    if !diagonal.isEmpty {
      for j in 0..<size { x[j] *= diagonal[j] }
      return
    }
    guard let block else {
      for j in 0..<size { y[j] = x[(j + size - 1) % size] + x[(j + 1) % size] }
      return swap(&x, &y)
    }
    let n = block.rows
    for start in stride(from: 0, to: size, by: n) {
      for j in 0..<n { y[start + j] = 0 }
      for i in 0..<n {
        for j in 0..<n {
          if transposed {
            y[start + j] += block[i, j] * x[start + i]
          } else {
            y[start + i] += block[i, j] * x[start + j]
          }
        }
      }
    }
    swap(&x, &y)
  }
}
