import Autodiff
import LinearAlgebra
import Weights

/// The residual Jacobians of one block at several tokens or prompts, applied in one pass over the weights.
///
/// They are the rows of one linearization. When a solve converges, its row becomes inactive; once half of the rows are inactive,
/// the others get a linearization of their own. Neither changes a result if an application has no more vectors than
/// `Engine.independentVectors`.
final class BatchedJacobian<Scalar: RealScalar>: BatchedOperator {
  /// Linearizations of some of the Jacobians, one row each.
  private struct Part {
    let members: [Int]
    let rows: LinearizedRows<Scalar>

    init(_ members: [Int], _ linearization: Linearization<Scalar>) {
      self.members = members
      rows = linearization.rows
    }
  }

  private let linearization: Linearization<Scalar>
  private let whole: Part
  private var reduced: Part
  private let linearize: ([Int]) -> Linearization<Scalar>

  /// `whole` has one row per Jacobian; `linearize` linearizes some of them.
  init(_ whole: Linearization<Scalar>, _ linearize: @escaping ([Int]) -> Linearization<Scalar>) {
    linearization = whole
    self.whole = Part(Array(0..<whole.inputShape.rows), whole)
    reduced = self.whole
    self.linearize = linearize
  }

  var batch: Int { whole.members.count }
  var inputDimension: Int { whole.rows.inputDimension }
  var outputDimension: Int { whole.rows.outputDimension }

  /// One Jacobian, linearized by itself, or the whole if it is the only row.
  func member(_ p: Int) -> any LinearOperator {
    batch == 1 ? linearization : linearize([p])
  }

  func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    let (rows, places) = rows(for: active)
    rows.apply(v, into: &y, vectors: b, active: places)
  }

  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    let (rows, places) = rows(for: active)
    rows.applyAdjoint(u, into: &x, vectors: b, active: places)
  }

  /// The linearization to use for these Jacobians, with less than half of its rows inactive, and their rows in it.
  private func rows(for active: [Int]) -> (LinearizedRows<Scalar>, places: [Int]) {
    if 2 * active.count > batch { return (whole.rows, active) }
    if 2 * active.count <= reduced.members.count || !Set(active).isSubset(of: reduced.members) {
      reduced = Part(active, linearize(active))
    }
    return (reduced.rows, active.map { reduced.members.firstIndex(of: $0)! })
  }
}
