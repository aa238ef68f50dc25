/// An interval that holds the mean of what some values were drawn from, with probability `level`: Student's.
///
///     mean ± t · standard error,    P(|T| ≤ t) = level,  T of Student's distribution with n − 1 degrees of freedom
///
/// Exact for normal values, and near it for a mean of few values of another kind. The middle of resampled means, which needs no
/// distribution, is too short for few of them: of 95 %, 50 % at two values, 81 % at four, 88 % at eight, 92 % at sixteen.
///
/// Values that are only known to within bᵢ widen it: with x̂ᵢ = xᵢ + eᵢ, |eᵢ| ≤ bᵢ, the mean of the eᵢ is at most that of the bᵢ, b̄,
/// and the standard error, a seminorm of the values, changes by at most ‖e − ē‖/√(n(n−1)) ≤ ‖b‖/√(n(n−1)). So
///
///     mean ± (t · standard error + b̄ + t ‖b‖/√(n(n−1)))
///
/// holds Student's interval of the xᵢ, whatever they are.
public struct MeanInterval: Sendable, Equatable {
  /// mean − t · standard error, less what bounds of the values add.
  public let lower: Double
  /// mean + t · standard error, and what bounds of the values add.
  public let upper: Double
  /// Probability between them, e.g. 0.95.
  public let level: Double

  /// Of some values; nil for fewer than 2, or where it is not finite.
  public init?(_ values: [Double], level: Double = 0.95) {
    guard let estimate = MeanEstimate(values) else { return nil }
    self.init(estimate, level: level)
  }

  /// Of a mean and its standard error, and of how far each value may be off, where that is known; nil for a mean of fewer than 2
  /// values, or where the interval is not finite.
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

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    lower = try values.decode(Double.self, forKey: .lower)
    upper = try values.decode(Double.self, forKey: .upper)
    level = try values.decode(Double.self, forKey: .level)
  }

  /// One object; `resamples`, of records whose intervals were resampled, is `null`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(lower, forKey: .lower)
    try values.encode(upper, forKey: .upper)
    try values.encode(level, forKey: .level)
    try values.encodeNil(forKey: .resamples)
  }
}
