import Autodiff
import Lanczos
import LinearAlgebra

/// The residual Jacobians of one block at several tokens or prompts, applied in one reading of the weights.
///
/// They are the rows of one linearization. As problems converge their rows are fed zeros; once half of them have, the rest
/// are linearized anew among themselves. A product does not depend on the rows beside it, so neither changes a result.
final class LockstepJacobian<Scalar: RealScalar>: LockstepOperator {
  /// The rows of the present linearization, as problem numbers.
  private var members: [Int]
  private var linearization: Linearization<Scalar>
  private let linearize: ([Int]) -> Linearization<Scalar>
  /// Vectors of all members, for when some of them are at rest.
  private var inputs: [Double] = []
  private var outputs: [Double] = []

  /// `linearize` makes the linearization of some of the problems, one row each.
  init(problems: Int, _ linearize: @escaping ([Int]) -> Linearization<Scalar>) {
    members = Array(0..<problems)
    self.problems = problems
    self.linearize = linearize
    linearization = linearize(members)
  }

  let problems: Int
  var inputDimension: Int { linearization.inputShape.columns }
  var outputDimension: Int { linearization.outputShape.columns }

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

  private func run(
    _ v: Span<Double>, _ y: inout MutableSpan<Double>, _ b: Int, _ active: [Int], _ n: Int,
    _ m: Int,
    _ apply: (Linearization<Scalar>, Span<Double>, inout MutableSpan<Double>) -> Void
  ) {
    if 2 * active.count <= members.count {
      members = active
      linearization = linearize(active)
    }
    if active == members { return apply(linearization, v, &y) }
    // Lane of every active problem among the members.
    let lanes = active.map { members.firstIndex(of: $0)! }
    inputs = Array(repeating: 0, count: members.count * b * n)
    outputs = Array(repeating: 0, count: members.count * b * m)
    for (k, lane) in lanes.enumerated() {
      for i in 0..<b * n { inputs[lane * b * n + i] = v[k * b * n + i] }
    }
    var output = outputs.mutableSpan
    apply(linearization, inputs.span, &output)
    for (k, lane) in lanes.enumerated() {
      for i in 0..<b * m { y[k * b * m + i] = outputs[lane * b * m + i] }
    }
  }
}
