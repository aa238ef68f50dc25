import Lanczos
import LinearAlgebra

/// A way to solve: a solver, alone or for several maps in lockstep.
struct SolverCase: Sendable, Hashable, CustomStringConvertible {
  let kind: SolverKind
  /// The number of maps solved together.
  let members: Int

  var description: String { members == 1 ? kind.rawValue : "\(kind.rawValue) × \(members)" }

  static let all =
    [1, 8, 16].map { SolverCase(kind: .block, members: $0) }
    + [.arpack, .randomized, .dense].map { SolverCase(kind: $0, members: 1) }
}

/// The outcome of one solve, compared with the truth.
struct Verdict: Sendable {
  var converged = false
  /// Whether the certificate proves that no requested triplet is missing.
  var proven = false
  /// Whether some returned value is below the true one by more than its bound.
  var missed = false
  /// Whether some value or vector is off by more than its bound.
  var exceeded = false
  /// True error over bound, of the worst value, and of the worst vector among those with a bound below 1.
  var worstValue = 0.0
  var worstVector = 0.0
  /// Bound over true error of every value whose error is above rounding.
  var slack: [Double] = []
  /// Passes of the solve, without those of the certificate, and those.
  var passes = 0
  var probing = 0
}

/// Solves some problems, all of one size and count, as members of one application.
struct Trial: Sendable {
  let solver: SolverCase
  let problems: [HardProblem]
  let precision: HardProblem.Precision
  let isChecked: Bool
  /// The seed of the solver.
  let seed: UInt64
  var tolerance = 1e-5

  /// One verdict per problem.
  func run() throws -> [Verdict] {
    let operators = problems.map { $0.applied(in: precision) }
    let method = solver.kind.solver(
      tolerance: tolerance, seed: seed, certify: isChecked ? .auto : .off)
    let found =
      operators.count == 1
      ? [try method.partialSVD(of: operators[0], count: problems[0].count)]
      : try method.partialSVDs(of: OperatorBatch(operators), count: problems[0].count)
    return try zip(zip(problems, operators), found).map { pair, triplets in
      // In double precision there is no more precise reference; rounding is the only error.
      let noise =
        precision == .float64
        ? try OperatorNoise(ofRoundingIn: pair.1, triplets: triplets)
        : try OperatorNoise(of: pair.1, against: pair.0.meant(), triplets: triplets)
      return verdict(triplets, of: pair.0, noise)
    }
  }

  private func verdict(
    _ found: SingularTriplets, of problem: HardProblem, _ noise: OperatorNoise
  ) -> Verdict {
    let bounds = found.bounds(noise: noise)
    var verdict = Verdict()
    verdict.converged = found.report.isConverged
    verdict.proven = found.certificate?.isProof ?? false
    verdict.probing = found.certificate?.applications.passes ?? 0
    verdict.passes = found.report.applications.passes - verdict.probing
    let vectors = bounds.vectors
    for (i, sigma) in found.singularValues.enumerated() {
      let (error, bound) = (problem.values[i] - sigma, bounds.values[i])
      if error > bound { verdict.missed = true }
      verdict.worstValue = max(verdict.worstValue, abs(error) / bound)
      // Smaller errors are rounding, and so are their bounds.
      if abs(error) > 1e-12 * problem.values[0] { verdict.slack.append(bound / abs(error)) }
      if vectors[i] < 1, let sine = problem.sines(found, i) {
        verdict.worstVector = max(verdict.worstVector, sine / vectors[i])
      }
    }
    verdict.exceeded = max(verdict.worstValue, verdict.worstVector) > 1
    return verdict
  }
}
