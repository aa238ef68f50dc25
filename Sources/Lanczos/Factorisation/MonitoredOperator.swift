import LinearAlgebra

/// A group of operators as the solvers see it: each with n ≤ m, its applications counted, its products checked.
///
/// Where the output is the shorter side, Aᵀ stands in for A; `triplets` exchanges U and V back.
final class MonitoredOperator {
  private let base: any LockstepOperator
  private let isFlipped: Bool
  /// Per problem; a joint application is one pass for each problem that takes part.
  private(set) var applications: [ApplicationCount]

  /// ARPACK's and everyone's adjoint test: wide enough for a chain of products in single precision, some 100 times
  /// less than what a wrong adjoint shows on a random vector of length 10⁴ (its defect is of order 1/√n).
  static let adjointTolerance = 1e-4

  init(_ base: any LockstepOperator, count: Int) throws(SolverError) {
    self.base = base
    isFlipped = base.outputDimension < base.inputDimension
    applications = Array(repeating: ApplicationCount(), count: base.problems)
    let limit = min(base.inputDimension, base.outputDimension)
    guard count >= 1, count <= limit else { throw .impossibleCount(count, limit: limit) }
  }

  convenience init(_ a: any LinearOperator, count: Int) throws(SolverError) {
    try self.init(LockstepGroup([a]), count: count)
  }

  var problems: Int { base.problems }
  /// The shorter side.
  var inputDimension: Int { min(base.inputDimension, base.outputDimension) }
  /// The longer side.
  var outputDimension: Int { max(base.inputDimension, base.outputDimension) }

  /// A direction of application: `forward` is A, `adjoint` is Aᵀ (of the oriented operator).
  enum Direction {
    case forward
    case adjoint
    var reversed: Direction { self == .forward ? .adjoint : .forward }
  }

  /// Products of each active problem's vectors (rows), in calls of at most `width` vectors per problem.
  ///
  /// Problems may bring different numbers of vectors; the shorter blocks are padded with zero vectors.
  func products(
    _ direction: Direction, of blocks: [Matrix<Double>], active: [Int], width: Int
  ) throws(SolverError) -> [Matrix<Double>] {
    let (from, to) =
      direction == .forward
      ? (inputDimension, outputDimension) : (outputDimension, inputDimension)
    let longest = blocks.map(\.rows).max() ?? 0
    var results = blocks.map { Matrix<Double>(rows: $0.rows, columns: to) }
    if blocks.count == 1, longest <= width {
      let source = blocks[0].elements
      var target = results[0].elements.mutableSpan
      try call(direction, source.span, into: &target, vectors: longest, active: active)
      return results
    }
    for start in stride(from: 0, to: longest, by: width) {
      let lanes = blocks.indices.filter { blocks[$0].rows > start }
      let b = min(width, longest - start)
      var sources = [Double](repeating: 0, count: lanes.count * b * from)
      var targets = [Double](repeating: 0, count: lanes.count * b * to)
      for (lane, i) in lanes.enumerated() {
        let rows = start..<min(start + b, blocks[i].rows)
        sources.replaceSubrange(
          lane * b * from..<(lane * b + rows.count) * from,
          with: blocks[i].elements[rows.lowerBound * from..<rows.upperBound * from])
      }
      var span = targets.mutableSpan
      try call(direction, sources.span, into: &span, vectors: b, active: lanes.map { active[$0] })
      for (lane, i) in lanes.enumerated() {
        let rows = start..<min(start + b, blocks[i].rows)
        results[i].elements.replaceSubrange(
          rows.lowerBound * to..<rows.upperBound * to,
          with: targets[lane * b * to..<(lane * b + rows.count) * to])
      }
    }
    return results
  }

  /// Products of the only problem's vectors.
  func products(
    _ direction: Direction, of block: Matrix<Double>, width: Int
  ) throws(SolverError) -> Matrix<Double> {
    try products(direction, of: [block], active: [0], width: width)[0]
  }

  /// One joint application, counted, its result finite.
  func call(
    _ direction: Direction, _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int,
    active: [Int] = [0]
  ) throws(SolverError) {
    let isForward = (direction == .forward) != isFlipped
    if isForward {
      base.apply(v, into: &y, vectors: b, active: active)
    } else {
      base.applyAdjoint(v, into: &y, vectors: b, active: active)
    }
    for p in active {
      applications[p].passes += 1
      if isForward { applications[p].jvp += b } else { applications[p].vjp += b }
    }
    let length = y.count / max(active.count, 1)
    for (lane, p) in active.enumerated() {
      var sum = 0.0  // 0 · x is 0 exactly when x is finite
      for i in lane * length..<(lane + 1) * length { sum += 0 * y[i] }
      guard sum == 0 else {
        throw .notFinite(product: isForward ? "A v" : "Aᵀ u", problem: p)
      }
    }
  }

  /// Throws unless ⟨A vⱼ, uᵢ⟩ = ⟨vⱼ, Aᵀ uᵢ⟩ for all vectors given (rows), up to rounding.
  ///
  /// The difference is weighed against ‖A‖ ‖vⱼ‖ ‖uᵢ‖, ‖A‖ estimated by the largest growth among these vectors: a
  /// product in the null space is rounding and nothing else. What exceeds that may still be rounding, where an operator is
  /// small beside what cancels inside it; only then is its rounding measured, and the difference of two products with
  /// errors e ‖vⱼ‖ and f ‖uᵢ‖ is at most (e + f) ‖vⱼ‖ ‖uᵢ‖.
  func checkAdjoint(
    v: Matrix<Double>, av: Matrix<Double>, u: Matrix<Double>, atu: Matrix<Double>, problem: Int = 0
  ) throws(SolverError) {
    let forward = Matrix.product(u, .none, av, .transposed)
    let backward = Matrix.product(atu, .none, v, .transposed)
    let (nv, nu) = (v.rowNorms, u.rowNorms)
    let growth = zip(av.rowNorms + atu.rowNorms, nv + nu).reduce(0) {
      max($0, $1.1 > 0 ? $1.0 / $1.1 : 0)
    }
    var rounding: Double?
    for i in nu.indices {
      for j in nv.indices {
        let size = 2 * growth * nv[j] * nu[i]
        let defect = abs(forward[i, j] - backward[i, j])
        guard defect > Self.adjointTolerance * size else { continue }
        let errors =
          if let rounding { rounding } else {
            try self.rounding(.forward, v, av, problem: problem)
              + self.rounding(.adjoint, u, atu, problem: problem)
          }
        rounding = errors
        if defect > Self.roundingMargin * errors * nv[j] * nu[i] {
          throw .adjointMismatch(defect: defect / size, problem: problem)
        }
      }
    }
  }

  /// Two samples of the rounding of one product differ by about √2 of its norm, and in few dimensions by chance less. A
  /// wrong adjoint differs by 1/√n of the operator's size, so it is missed only where rounding is above 1/(20 √n) of that.
  private static let roundingMargin = 10.0

  /// How far A (α x) / α is from the product A x at hand, over ‖x‖, for the worst of some vectors (rows): in a linear map,
  /// rounding.
  ///
  /// α is no power of two, so that the same products are rounded at other places.
  private func rounding(
    _ direction: Direction, _ x: Matrix<Double>, _ product: Matrix<Double>, problem: Int
  ) throws(SolverError) -> Double {
    let α = 0.7390851332151607
    var scaled = x
    for i in scaled.elements.indices { scaled.elements[i] *= α }
    var again = try products(direction, of: [scaled], active: [problem], width: x.rows)[0]
    for i in again.elements.indices { again.elements[i] /= α }
    return zip((again - product).rowNorms, x.rowNorms).reduce(0) {
      max($0, $1.1 > 0 ? $1.0 / $1.1 : 0)
    }
  }

  /// The answer for one problem, U and V of the original operator, with its report.
  ///
  /// `stop` says why, should some residual norm exceed tolerance · σ₁.
  func triplets(
    _ ritz: RitzTriplets, problem: Int = 0, solver: String, restarts: Int, subspaceDimension: Int,
    tolerance: Double, seed: UInt64, stop: StopCause
  ) -> SingularTriplets {
    let bound = tolerance * (ritz.values.first ?? 0)
    let converged = ritz.residualNorms.count { $0 <= bound }
    let worst = (ritz.residualNorms.max() ?? 0) / (ritz.values.first ?? 1)
    let stopped = Stop(stop.reason, residual: worst, remedy: stop.remedy)
    return SingularTriplets(
      singularValues: ritz.values,
      leftVectors: isFlipped ? ritz.right : ritz.left,
      rightVectors: isFlipped ? ritz.left : ritz.right,
      residualNorms: ritz.residualNorms,
      report: ConvergenceReport(
        outcome: converged == ritz.values.count ? .converged : .stopped(stopped),
        solver: solver, requested: ritz.values.count, converged: converged, restarts: restarts,
        applications: applications[problem], subspaceDimension: subspaceDimension,
        tolerance: tolerance, seed: seed))
  }
}

/// Why a solver stops short, and what would help.
struct StopCause {
  let reason: Stop.Reason
  let remedy: String

  /// A setting of the solver's was used up; `remedy` says which.
  static func exhausted(_ remedy: String) -> StopCause {
    StopCause(reason: .exhausted, remedy: "\(remedy), or raise tolerance above that")
  }
  /// The iteration has converged, and residual norms stay where the operator's rounding leaves them.
  static let rounding = StopCause(
    reason: .rounding,
    remedy: "raise tolerance above that, or let the operator compute more precisely")
}
