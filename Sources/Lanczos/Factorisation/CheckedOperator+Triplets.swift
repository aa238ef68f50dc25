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

  /// The answer for one member, U and V of the operator as it was given, with its report.
  ///
  /// `stop` says why, should some residual norm exceed tolerance · σ₁.
  public func triplets(
    _ ritz: RitzTriplets, member: Int = 0, solver: String, restarts: Int, subspaceDimension: Int,
    tolerance: Double, seed: UInt64, stop: StopCause
  ) -> SingularTriplets {
    let bound = tolerance * (ritz.values.first ?? 0)
    let converged = ritz.residualNorms.count { $0 <= bound }
    let worst = (ritz.residualNorms.max() ?? 0) / (ritz.values.first ?? 1)
    let stopped = Stop(stop.reason, residual: worst, remedy: stop.remedy)
    return SingularTriplets(
      singularValues: ritz.values,
      leftVectors: isTransposed ? ritz.right : ritz.left,
      rightVectors: isTransposed ? ritz.left : ritz.right,
      residualNorms: ritz.residualNorms,
      report: ConvergenceReport(
        outcome: converged == ritz.values.count ? .converged : .stopped(stopped),
        solver: solver, requested: ritz.values.count, converged: converged, restarts: restarts,
        applications: applications[member], subspaceDimension: subspaceDimension,
        tolerance: tolerance, seed: seed))
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
