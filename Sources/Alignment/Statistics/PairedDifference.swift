/// The mean of dᵢ = bᵢ − aᵢ over pairs, say the same prompts in two models, and whether it can be told from 0.
///
///     t = d̄ / (s_d / √n),    p = P(|T| ≥ |t|),  T of Student's distribution with n − 1 degrees of freedom
///
/// Pairs keep what differs from prompt to prompt out of the comparison.
public struct PairedDifference: Sendable, Equatable, Codable {
  /// Pairs n.
  public let count: Int
  /// d̄.
  public let mean: Double
  /// s_d / √n.
  public let standardError: Double
  /// Of the mean: Student's, which holds 0 unless p is below 1 − its level.
  public let interval: MeanInterval
  /// Two-sided p of Student's paired test; 1 when all differences are 0.
  public let pValue: Double

  /// From a to b; nil for fewer than 2 pairs, or a number that is not finite.
  public init?(from a: [Double], to b: [Double]) {
    precondition(a.count == b.count, "\(a.count) against \(b.count) numbers")
    let differences = zip(a, b).map { $1 - $0 }
    guard let estimate = MeanEstimate(differences), let error = estimate.standardError,
      error.isFinite, let interval = MeanInterval(estimate)
    else { return nil }
    (count, mean, standardError) = (estimate.count, estimate.mean, error)
    self.interval = interval
    pValue =
      differences.allSatisfy { $0 == 0 }
      ? 1 : StudentT.twoSidedP(t: estimate.mean / error, degreesOfFreedom: estimate.count - 1)
  }
}
