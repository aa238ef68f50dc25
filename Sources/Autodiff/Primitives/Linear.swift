import Weights
import LinearAlgebra

extension Variable {
  /// W x + b for every row x, with W used in its stored form.
  ///
  /// W (m, n) with n = columns; `transposed` uses Wᵀ of a W stored as (n, m) instead, as in GPT-2's checkpoints. The
  /// product and its adjoint each read W once for all tangents.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func linear(
    _ w: StoredMatrix, bias: [Scalar]? = nil, transposed: Bool = false
  ) -> Variable {
    let (inputs, outputs) = transposed ? (w.rows, w.columns) : (w.columns, w.rows)
    precondition(columns == inputs, "\(columns) features for weights with \(inputs) inputs")
    precondition(bias == nil || bias!.count == outputs, "a bias has one number per output")
    let step = LinearStep<Scalar>(input: position, rows: rows, weights: w, transposed: transposed)
    let out = Buffer<Scalar>(count: outputs * rows)
    step.multiply(buffer.base, into: out.base, tangents: rows, accumulating: false)
    if let bias {
      for c in 0..<outputs { for r in 0..<rows { out.base[c * rows + r] += bias[c] } }
    }
    guard let node else { return Variable(rows: rows, columns: outputs, buffer: out) }
    return node.trace.record(step, rows: rows, columns: outputs, value: out)
  }
}

/// dy = W dx; dx += Wᵀ dy. The bias does not enter.
struct LinearStep<Scalar: RealScalar>: Primitive {
  let input: Int?
  let rows: Int
  let weights: StoredMatrix
  let transposed: Bool

  var inputs: [Int] { input.map { [$0] } ?? [] }

  var weightBytes: Int { weights.weightBytes }

  func multiply(
    _ x: UnsafePointer<Scalar>, into y: UnsafeMutablePointer<Scalar>, tangents: Int,
    accumulating: Bool, adjoint: Bool = false
  ) {
    if transposed == adjoint {
      Scalar.multiply(
        weights, x, stride: tangents, into: y, stride: tangents, vectors: tangents,
        accumulating: accumulating)
    } else {
      Scalar.multiplyAdjoint(
        weights, x, stride: tangents, into: y, stride: tangents, vectors: tangents,
        accumulating: accumulating)
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    guard let input else { return }
    multiply(
      workspace.slot(input), into: out, tangents: rows * workspace.vectors, accumulating: false)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    guard let input else { return }
    let (target, accumulating) = workspace.target(of: input)
    multiply(
      cotangent, into: target, tangents: rows * workspace.vectors, accumulating: accumulating,
      adjoint: true)
  }
}
