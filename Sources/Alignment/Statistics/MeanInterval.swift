/// Student's confidence interval for the mean of the distribution that some values were drawn from, at confidence
/// `level`:
///
///     mean ± t · standard error,    P(|T| ≤ t) = level,  T of Student's distribution with n − 1 degrees of freedom
///
/// It is exact for normal values, and nearly so for the mean of a few values of another distribution. The central
/// interval of resampled means, which assumes no distribution, is too short for few values: at a nominal 95 % it
/// covers 50 % with two values, 81 % with four, 88 % with eight, 92 % with sixteen.
///
/// Errors of the values widen it: with x̂ᵢ = xᵢ + eᵢ, |eᵢ| ≤ bᵢ, the mean of the eᵢ is in magnitude at most the mean b̄
/// of the bᵢ, and the standard error, a seminorm of the values, changes by at most ‖e − ē‖/√(n(n−1)) ≤ ‖b‖/√(n(n−1)).
/// So
///
///     mean ± (t · standard error + b̄ + t ‖b‖/√(n(n−1)))
///
/// contains Student's interval of the xᵢ, whatever they are.
public struct MeanInterval: Sendable, Equatable {
  /// mean − t · standard error, minus the contribution of the values' bounds.
  public let lower: Double
  /// mean + t · standard error, plus the contribution of the values' bounds.
  public let upper: Double
  /// The confidence level, such as 0.95.
  public let level: Double

  /// The interval for some values; nil for fewer than 2, or if it is not finite.
  public init?(_ values: [Double], level: Double = 0.95) {
    guard let estimate = MeanEstimate(values) else { return nil }
    self.init(estimate, level: level)
  }

  /// The interval for a mean with its standard error and, if known, a bound on the error of each value; nil for a
  /// mean of fewer than 2 values, or if the interval is not finite.
  public init?(_ estimate: MeanEstimate, bounds: [Double] = [], level: Double = 0.95) {
    precondition(bounds.isEmpty || bounds.count == estimate.count, "one bound per value, or none")
    guard let error = estimate.standardError else { return nil }
    let n = Double(estimate.count)
    let t = StudentT.quantile(level: level, degreesOfFreedom: estimate.count - 1)
    let square = bounds.reduce(0) { $0 + $1 * $1 } / (n * (n - 1))
    let half = t * (error + square.squareRoot()) + bounds.reduce(0, +) / n
    (lower, upper) = (estimate.mean - half, estimate.mean + half)
    self.level = level
    guard lower.isFinite, upper.isFinite else { return nil }
  }
}

extension MeanInterval: Codable {
  private enum CodingKeys: String, CodingKey { case lower, upper, level, resamples }

  /// Decodes what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    lower = try values.decode(Double.self, forKey: .lower)
    upper = try values.decode(Double.self, forKey: .upper)
    level = try values.decode(Double.self, forKey: .level)
  }

  /// Encodes one object; `resamples`, from records with resampled intervals, is `null`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(lower, forKey: .lower)
    try values.encode(upper, forKey: .upper)
    try values.encode(level, forKey: .level)
    try values.encodeNil(forKey: .resamples)
  }
}
