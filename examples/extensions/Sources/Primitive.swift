import Autodiff
import LinearAlgebra

extension Variable {
  /// yᵢ = x₀ + … + xᵢ over the features of every row.
  func cumulativeSum() -> Variable {
    var sums = value
    for r in 0..<rows { for c in (0..<columns).dropFirst() { sums[r, c] += sums[r, c - 1] } }
    return Variable(sums, of: self) {
      CumulativeSumStep(input: $0, rows: rows, columns: columns)
    }
  }
}

/// dyᵢ = dx₀ + … + dxᵢ; the adjoint sums from the other end.
private struct CumulativeSumStep<Scalar: RealScalar>: Primitive {
  let input: Int
  let rows: Int
  let columns: Int

  var inputs: [Int] { [input] }

  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (x, lanes) = (workspace.slot(input), rows * workspace.vectors)
    for i in 0..<columns * lanes { out[i] = x[i] + (i < lanes ? 0 : out[i - lanes]) }
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (x, lanes) = (workspace.accumulator(of: input), rows * workspace.vectors)
    for lane in 0..<lanes {
      var sum: Scalar = 0
      for c in (0..<columns).reversed() {
        sum += cotangent[c * lanes + lane]
        x[c * lanes + lane] += sum
      }
    }
  }
}
