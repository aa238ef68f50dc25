import LinearAlgebra
import Weights

// Fusion of linear maps. The derivative of φ(W₁ x) ∘ (W₂ x) is d₁ ∘ (W₁ dx) + d₂ ∘ (W₂ dx) with constant d₁, d₂, which is one
// map: M dx with M = diag(d₁) W₁ + diag(d₂) W₂. M costs about as much as the product with one vector. Every application then
// costs one product instead of two and the scaling of their outputs, and M needs no widening. Where M is too large to be kept, wide
// applications form it every time, a portion of its rows after the other, and thin ones use W₁ and W₂. A small quantised matrix that
// remains is formed in the same way, as a sum of one term.

/// A primitive that multiplies with matrices of its own, formed when they are used.
protocol FusedPrimitive<Scalar>: Primitive {
  var matrices: [FormedMatrix] { get }
}

/// dy = M dx, dx += Mᵀ dy, with M formed at the first application, or the first thin one if the same map is stored.
struct FusedLinearStep<Scalar: RealScalar>: FusedPrimitive {
  let input: Int
  let map: FormedMatrix
  /// M as it is stored, if it is: wide products widen a strip of it for all of their vectors.
  var stored: StoredMatrix?
  let weightBytes: Int

  var inputs: [Int] { [input] }
  var matrices: [FormedMatrix] { [map] }

  private func matrix(vectors b: Int) -> StoredMatrix {
    if let stored, b > Engine.independentVectors { stored } else { map.stored }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let b = workspace.vectors
    Scalar.multiply(
      matrix(vectors: b), workspace.slot(input), stride: b, into: out, stride: b, vectors: b,
      accumulating: false)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let b = workspace.vectors
    let (target, accumulating) = workspace.target(of: input)
    Scalar.multiplyAdjoint(
      matrix(vectors: b), cotangent, stride: b, into: target, stride: b, vectors: b,
      accumulating: accumulating)
  }
}

/// dy = M dx, dx += Mᵀ dy for many vectors, with M formed in every application, a portion of its rows after the other in the same
/// memory.
struct PortionedLinearStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let weightBytes: Int
  private let portions: [(row: Int, map: FormedMatrix)]

  /// The most numbers of a portion, 8 MB of them, of which a cache holds a good part: they are used right after they are formed.
  static var portionNumbers: Int { 1 << 21 }

  /// M = Σₖ diag(dₖ) Wₖ, with the preconditions of `FormedMatrix.init(combining:)`.
  fileprivate init(input: Int, combining terms: [ScaledLinearMap]) {
    self.input = input
    weightBytes = terms.reduce(0) { $0 + $1.weights.weightBytes }
    let (rows, columns) = (terms[0].weights.rows, terms[0].weights.columns)
    let height = min(rows, max(1, Self.portionNumbers / columns))
    portions = stride(from: 0, to: rows, by: height).map { row in
      let some = row..<min(row + height, rows)
      let map = FormedMatrix(
        combining: terms.map { (Array($0.factors[some]), $0.weights.rows(some)) },
        capacity: height * columns)
      return (row, map)
    }
  }

  var inputs: [Int] { [input] }

  /// The bytes of a portion.
  var portionBytes: Int { portions[0].map.byteCount }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let b = workspace.vectors
    for (row, map) in portions {
      Scalar.multiply(
        map.stored, workspace.slot(input), stride: b, into: out + row * b, stride: b, vectors: b,
        accumulating: false)
      map.release()
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let b = workspace.vectors
    for (row, map) in portions {
      let (target, accumulating) = workspace.target(of: input)
      Scalar.multiplyAdjoint(
        map.stored, cotangent + row * b, stride: b, into: target, stride: b, vectors: b,
        accumulating: accumulating)
      map.release()
    }
  }
}

/// A linear map of one variable with its outputs scaled: d ∘ (W dx).
private struct ScaledLinearMap {
  let input: Int
  let weights: StoredMatrix
  let factors: [Float]
}

extension Trace {
  /// The primitives, with those of a single row fused where that saves arithmetic, and those that replace some of them in wide
  /// applications, of more than `Engine.independentVectors` vectors.
  ///
  /// Primitives are replaced only if nothing else uses what they compute in between. Only in single precision: what is formed is
  /// rounded to it.
  func fused() -> (primitives: [(any Primitive<Scalar>)?], wide: [Int: PortionedLinearStep<Scalar>])
  {
    guard Scalar.self == Float.self else { return (primitives, [:]) }
    var uses = [Int](repeating: 0, count: primitives.count)
    for case let primitive? in primitives {
      for input in primitive.inputs { uses[input] += 1 }
    }
    var result = primitives
    var wide: [Int: PortionedLinearStep<Scalar>] = [:]
    for (position, primitive) in primitives.enumerated() {
      switch primitive {
      case let sum as DiagonalStep<Scalar>:
        guard let (input, maps) = fusibleMaps(sum, uses) else { break }
        if maps[0].weights.rows * maps[0].weights.columns <= Self.mostFused {
          result[position] = FusedLinearStep<Scalar>(
            input: input, map: FormedMatrix(combining: maps.map { ($0.factors, $0.weights) }),
            weightBytes: maps.reduce(0) { $0 + $1.weights.weightBytes })
        } else {
          wide[position] = PortionedLinearStep(input: input, combining: maps)
        }
      case let output as LinearStep<Scalar>:
        fuseAttention(before: output, at: position, uses, in: &result)
      default: break
      }
    }
    return (result.map { ($0 as? LinearStep<Scalar>).flatMap(widened) ?? $0 }, wide)
  }

  /// The map of a single row by a small quantised matrix, with its weights widened for thin products; nil for another map.
  ///
  /// Widening is about half of a thin product with four-bit weights that a cache holds; it is spared from the second one on. Not so
  /// where weights are widened in registers.
  private func widened(_ step: LinearStep<Scalar>) -> FusedLinearStep<Scalar>? {
    let w = step.weights
    guard step.rows == 1, let input = step.input, !step.transposed, !w.isTransposed,
      !w.elementType.isFloatingPoint, !w.elementType.isWidenedInRegisters,
      w.rows * w.columns <= Self.mostWidened
    else { return nil }
    let ones = [Float](repeating: 1, count: w.rows)
    return FusedLinearStep(
      input: input, map: FormedMatrix(combining: [(ones, w)]), stored: w,
      weightBytes: w.weightBytes)
  }

  /// The most numbers in a widened matrix, 4 MB of them: a cache holds them from one application to the next.
  static var mostWidened: Int { 1 << 20 }

  /// The terms of a sum of at least two scaled linear maps of the same single row; nil if the sum is another.
  private func fusibleMaps(
    _ sum: DiagonalStep<Scalar>, _ uses: [Int]
  ) -> (input: Int, maps: [ScaledLinearMap])? {
    guard sum.terms.count > 1 else { return nil }
    var passed: [Int: Int] = [:]
    let maps = sum.terms.compactMap { scaledMap(at: $0.position, $0.diagonal, &passed) }
    guard let first = maps.first, maps.count == sum.terms.count,
      maps.allSatisfy({
        $0.input == first.input && $0.weights.rows == first.weights.rows
          && $0.weights.columns == first.weights.columns
      }), passed.allSatisfy({ uses[$0.key] == $0.value })
    else { return nil }
    return (first.input, maps)
  }

  /// The most numbers in a fused map that is kept, 64 MB of them. Larger ones are read from memory in every application, which takes
  /// as long as reading both stored matrices of 16-bit numbers, and are too much beside a block.
  static var mostFused: Int { 1 << 24 }

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
        guard let slice = step.slice else { return nil }
        outputs = slice
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
