/// An interval that holds the mean of what some values were drawn from, with probability `level`: Student's.
///
///     mean ± t · standard error,    P(|T| ≤ t) = level,  T of Student's distribution with n − 1 degrees of freedom
///
/// Exact for normal values, and near it for a mean of few values of another kind. The middle of resampled means, which needs no
/// distribution, is too short for few of them: of 95 %, 50 % at two values, 81 % at four, 88 % at eight, 92 % at sixteen.
public struct MeanInterval: Sendable, Equatable {
  /// mean − t · standard error.
  public let lower: Double
  /// mean + t · standard error.
  public let upper: Double
  /// Probability between them, e.g. 0.95.
  public let level: Double

  /// Of some values; nil for fewer than 2, or where it is not finite.
  public init?(_ values: [Double], level: Double = 0.95) {
    guard let estimate = MeanEstimate(values) else { return nil }
    self.init(estimate, level: level)
  }

  /// Of a mean and its standard error; nil for a mean of fewer than 2 values, or where the interval is not finite.
  public init?(_ estimate: MeanEstimate, level: Double = 0.95) {
    guard let error = estimate.standardError else { return nil }
    let t = StudentT.quantile(level: level, degreesOfFreedom: estimate.count - 1)
    (lower, upper) = (estimate.mean - t * error, estimate.mean + t * error)
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
