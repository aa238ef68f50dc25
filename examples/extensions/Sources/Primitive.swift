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
    let (x, tangents) = (workspace.slot(input), rows * workspace.vectors)
    for i in 0..<columns * tangents { out[i] = x[i] + (i < tangents ? 0 : out[i - tangents]) }
  }

  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (x, tangents) = (workspace.accumulator(of: input), rows * workspace.vectors)
    for tangent in 0..<tangents {
      var sum: Scalar = 0
      for c in (0..<columns).reversed() {
        sum += cotangent[c * tangents + tangent]
        x[c * tangents + tangent] += sum
      }
    }
  }
}
