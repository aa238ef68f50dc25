/// The mean of dᵢ = bᵢ − aᵢ over pairs, such as the same prompts in two models, and whether it differs significantly
/// from 0.
///
///     t = d̄ / (s_d / √n),    p = P(|T| ≥ |t|),  T of Student's distribution with n − 1 degrees of freedom
///
/// Pairing removes the variation from prompt to prompt from the comparison.
public struct PairedDifference: Sendable, Equatable, Codable {
  /// The number of pairs n.
  public let count: Int
  /// d̄.
  public let mean: Double
  /// s_d / √n.
  public let standardError: Double
  /// Student's interval of the mean, which contains 0 unless p is below 1 − its level.
  public let interval: MeanInterval
  /// The two-sided p-value of Student's paired test; 1 if all differences are 0.
  public let pValue: Double

  /// The difference from a to b; nil for fewer than 2 pairs, or if a number is not finite.
  public init?(from a: [Double], to b: [Double]) {
    precondition(a.count == b.count, "\(a.count) numbers a, \(b.count) numbers b")
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
