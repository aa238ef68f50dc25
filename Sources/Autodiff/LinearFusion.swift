import LinearAlgebra
import Weights

// Fusion of linear maps. The derivative of φ(W₁ x) ∘ (W₂ x) is d₁ ∘ (W₁ dx) + d₂ ∘ (W₂ dx) with constant d₁, d₂, which is one
// map: M dx with M = diag(d₁) W₁ + diag(d₂) W₂. M costs about as much as the product with one vector. Every application then
// costs one product instead of two and the scaling of their outputs, and M needs no widening.

/// dy = M dx, dx += Mᵀ dy, with M formed at the first application.
struct FusedLinearStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let map: MatrixCombination

  var inputs: [Int] { [input] }

  var weightBytes: Int { map.weightBytes }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let b = workspace.vectors
    Scalar.multiply(
      map.formed, workspace.slot(input), stride: b, into: out, stride: b, vectors: b,
      accumulating: false)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let b = workspace.vectors
    let (target, accumulating) = workspace.target(of: input)
    Scalar.multiplyAdjoint(
      map.formed, cotangent, stride: b, into: target, stride: b, vectors: b,
      accumulating: accumulating)
  }
}

/// A linear map of one variable with its outputs scaled: d ∘ (W dx).
private struct ScaledLinearMap {
  let input: Int
  let weights: StoredMatrix
  let factors: [Float]
}

extension Trace {
  /// The primitives, with every sum of at least two scaled linear maps of the same single row replaced by a fused one.
  ///
  /// Maps are replaced only if nothing else uses their outputs. Only in single precision: M is rounded to it.
  func fusingLinearMaps() -> [(any Primitive<Scalar>)?] {
    guard Scalar.self == Float.self else { return primitives }
    var uses = [Int](repeating: 0, count: primitives.count)
    for case let primitive? in primitives {
      for input in primitive.inputs { uses[input] += 1 }
    }
    return primitives.map { primitive in
      guard let sum = primitive as? DiagonalStep<Scalar>, sum.terms.count > 1 else {
        return primitive
      }
      var passed: [Int: Int] = [:]
      let maps = sum.terms.compactMap { scaledMap(at: $0.position, $0.diagonal, &passed) }
      guard let first = maps.first, maps.count == sum.terms.count,
        maps.allSatisfy({
          $0.input == first.input && $0.weights.rows == first.weights.rows
            && $0.weights.columns == first.weights.columns
        }), passed.allSatisfy({ uses[$0.key] == $0.value })
      else { return primitive }
      guard first.weights.rows * first.weights.columns <= Self.mostFused else { return primitive }
      let map = MatrixCombination(maps.map { ($0.factors, $0.weights) })
      return FusedLinearStep<Scalar>(input: first.input, map: map)
    }
  }

  /// The most numbers in a fused map, 64 MB of them. Larger ones are read from memory in every application, which takes as long
  /// as reading both stored matrices of 16-bit numbers, and are too much beside a block.
  private static var mostFused: Int { 1 << 24 }

  /// The linear map of a single row whose scaled output is `diagonal` ∘ the value at `position`, and how often each
  /// position was passed on the way to its input; nil if that value is computed in another way.
  private func scaledMap(
    at position: Int, _ diagonal: Buffer<Scalar>, _ passed: inout [Int: Int]
  ) -> ScaledLinearMap? {
    var position = position
    var factors = (0..<diagonal.count).map { Float(diagonal.base[$0]) }
    var outputs: Range<Int>?
    while true {
      passed[position, default: 0] += 1
      switch primitives[position] {
      case let step as DiagonalStep<Scalar> where step.terms.count == 1 && outputs == nil:
        let (next, slope) = step.terms[0]
        for i in factors.indices { factors[i] *= Float(slope.base[i]) }
        position = next
      case let step as GatherStep<Scalar> where step.rows == 1 && outputs == nil:
        guard let first = step.indices.first,
          step.indices.elementsEqual(first..<first + step.indices.count)
        else { return nil }
        outputs = first..<first + step.indices.count
        position = step.input
      case let step as LinearStep<Scalar>:
        guard step.rows == 1, let input = step.input, !step.transposed, !step.weights.isTransposed
        else { return nil }
        return ScaledLinearMap(
          input: input, weights: outputs.map(step.weights.rows) ?? step.weights, factors: factors)
      default: return nil
      }
    }
  }
}
