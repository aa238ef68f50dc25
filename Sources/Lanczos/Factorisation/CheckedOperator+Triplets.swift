public import LinearAlgebra

extension CheckedOperator {
  /// An operator, or a batch, as solvers see it: tall, so that n ≤ m, and with `count` triplets at least.
  ///
  /// Where the output is the shorter side, Aᵀ stands in for A; `triplets` exchanges U and V back. Throws
  /// `SolverError.impossibleCount`.
  public convenience init(_ base: any BatchedOperator, count: Int) throws(SolverError) {
    self.init(base, isTall: true)
    guard count >= 1, count <= inputDimension else {
      throw .impossibleCount(count, limit: inputDimension)
    }
  }

  /// The answer for one member, U and V of the operator as it was given, with its report: the first `count` triplets, and any
  /// beyond as further ones.
  ///
  /// `stop` says why, should some residual norm exceed tolerance · σ₁.
  public func triplets(
    _ ritz: RitzTriplets, count: Int? = nil, certificate: Certificate? = nil, member: Int = 0,
    solver: String, restarts: Int, subspaceDimension: Int, tolerance: Double, seed: UInt64,
    stop: StopCause
  ) -> SingularTriplets {
    let given = isTransposed ? ritz.flipped : ritz
    let (k, all) = (count ?? ritz.values.count, ritz.values.count)
    let asked = given.prefix(k)
    let bound = tolerance * (asked.values.first ?? 0)
    let converged = asked.residualNorms.count { $0 <= bound }
    let worst = (asked.residualNorms.max() ?? 0) / (asked.values.first ?? 1)
    let stopped = Stop(stop.reason, residual: worst, remedy: stop.remedy)
    return SingularTriplets(
      singularValues: asked.values, leftVectors: asked.left, rightVectors: asked.right,
      residualNorms: asked.residualNorms,
      report: ConvergenceReport(
        outcome: converged == k ? .converged : .stopped(stopped),
        solver: solver, requested: k, converged: converged, restarts: restarts,
        applications: applications[member], subspaceDimension: subspaceDimension,
        tolerance: tolerance, seed: seed),
      further: all > k
        ? FurtherTriplets(
          singularValues: Array(given.values[k...]), leftVectors: given.left.rows(k..<all),
          rightVectors: given.right.rows(k..<all),
          residualNorms: Array(given.residualNorms[k...])) : nil,
      certificate: certificate)
  }
}

/// Why a solver stops short, and what would help.
public struct StopCause: Sendable {
  /// What kept it.
  public let reason: Stop.Reason
  /// What to do, in the words of the solver's settings.
  public let remedy: String

  /// A setting of the solver's was used up; `remedy` says which.
  public static func exhausted(_ remedy: String) -> StopCause {
    StopCause(reason: .exhausted, remedy: "\(remedy), or raise tolerance above that")
  }
  /// The iteration has converged, and residual norms stay where the operator's rounding leaves them.
  public static let rounding = StopCause(
    reason: .rounding,
    remedy: "raise tolerance above that, or let the operator compute more precisely")
}
