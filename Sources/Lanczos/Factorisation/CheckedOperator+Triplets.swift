public import LinearAlgebra

extension CheckedOperator {
  /// An operator, or a batch, as solvers use it: tall, so that n ≤ m, and with at least `count` triplets.
  ///
  /// Where the output is the shorter side, Aᵀ takes the place of A; `triplets` swaps U and V back. Throws
  /// `SolverError.impossibleCount`.
  public convenience init(_ base: any BatchedOperator, count: Int) throws(SolverError) {
    self.init(base, isTall: true)
    guard count >= 1, count <= inputDimension else {
      throw .impossibleCount(count, limit: inputDimension)
    }
  }

  /// The answer for one member, with whole U and V of the operator as it was given, and its report: the first `count`
  /// triplets, then any others as further ones.
  ///
  /// `stop` gives the cause to report if some residual norm exceeds tolerance · σ₁.
  public func triplets(
    _ ritz: RitzTriplets, count: Int? = nil, certificate: Certificate? = nil, member: Int = 0,
    solver: String, restarts: Int, subspaceDimension: Int, tolerance: Double, seed: UInt64,
    stop: StopCause
  ) -> SingularTriplets {
    let whole = ritz.gathered
    let given = isTransposed ? whole.flipped : whole
    let (k, all) = (count ?? ritz.values.count, ritz.values.count)
    let asked = given.prefix(k)
    let bound = tolerance * (asked.values.first ?? 0)
    let converged = asked.residualNorms.count { $0 <= bound }
    let worst = (asked.residualNorms.max() ?? 0) / (asked.values.first ?? 1)
    let stopped = Stop(stop.reason, residual: worst, remedy: stop.remedy)
    var triplets = SingularTriplets(
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
    triplets.products = given.products
    return triplets
  }
}

/// Why a solver stopped short, and what would help.
public struct StopCause: Sendable {
  /// The reason that the report gives.
  public let reason: Stop.Reason
  /// What to do, in terms of the solver's settings.
  public let remedy: String

  /// A limit set by the user was reached; `remedy` says which setting to raise.
  public static func exhausted(_ remedy: String) -> StopCause {
    StopCause(reason: .exhausted, remedy: "\(remedy), or raise tolerance above that")
  }
  /// The iteration converged, but the operator's rounding keeps residual norms above the tolerance.
  public static let rounding = StopCause(
    reason: .rounding,
    remedy: "raise tolerance above that, or let the operator compute more precisely")
}
