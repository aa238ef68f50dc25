import Autodiff
import Lanczos
import LinearAlgebra

/// The residual Jacobians of one block at several tokens or prompts, applied in one reading of the weights.
///
/// They are the rows of one linearization. As problems converge their rows are fed zeros; once half of the rows are at
/// rest, the others are linearized anew among themselves. A product does not depend on the rows beside it, so neither
/// changes a result.
final class LockstepJacobian<Scalar: RealScalar>: LockstepOperator {
  /// A linearization of some of the problems, one row each.
  private struct Part {
    let members: [Int]
    let linearization: Linearization<Scalar>
  }

  private let whole: Part
  private var reduced: Part
  private let linearize: ([Int]) -> Linearization<Scalar>
  /// Vectors of all members, for when some of them are at rest.
  private var inputs: [Double] = []
  private var outputs: [Double] = []

  /// `whole` has one row a problem; `linearize` makes the linearization of some of the problems.
  init(_ whole: Linearization<Scalar>, _ linearize: @escaping ([Int]) -> Linearization<Scalar>) {
    self.whole = Part(members: Array(0..<whole.inputShape.rows), linearization: whole)
    reduced = self.whole
    self.linearize = linearize
  }

  var problems: Int { whole.members.count }
  var inputDimension: Int { whole.linearization.inputShape.columns }
  var outputDimension: Int { whole.linearization.outputShape.columns }

  func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    run(v, &y, b, active, inputDimension, outputDimension) { a, v, y in
      a.applyRows(v, into: &y, vectors: b)
    }
  }

  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    run(u, &x, b, active, outputDimension, inputDimension) { a, u, x in
      a.applyRowsAdjoint(u, into: &x, vectors: b)
    }
  }

  /// The linearization that serves these problems with less than half of its rows at rest.
  private func part(for active: [Int]) -> Part {
    if 2 * active.count > problems { return whole }
    if 2 * active.count <= reduced.members.count || !Set(active).isSubset(of: reduced.members) {
      reduced = Part(members: active, linearization: linearize(active))
    }
    return reduced
  }

  private func run(
    _ v: Span<Double>, _ y: inout MutableSpan<Double>, _ b: Int, _ active: [Int], _ n: Int,
    _ m: Int,
    _ apply: (Linearization<Scalar>, Span<Double>, inout MutableSpan<Double>) -> Void
  ) {
    let part = part(for: active)
    if active == part.members { return apply(part.linearization, v, &y) }
    // The lane of every active problem among the members.
    let lanes = active.map { part.members.firstIndex(of: $0)! }
    inputs = Array(repeating: 0, count: part.members.count * b * n)
    outputs = Array(repeating: 0, count: part.members.count * b * m)
    for (k, lane) in lanes.enumerated() {
      for i in 0..<b * n { inputs[lane * b * n + i] = v[k * b * n + i] }
    }
    var output = outputs.mutableSpan
    apply(part.linearization, inputs.span, &output)
    for (k, lane) in lanes.enumerated() {
      for i in 0..<b * m { y[k * b * m + i] = outputs[lane * b * m + i] }
    }
  }
}
