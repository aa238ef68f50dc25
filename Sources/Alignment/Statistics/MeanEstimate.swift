/// A mean and how well it is known.
public struct MeanEstimate: Sendable, Equatable, Codable {
  /// Values.
  public let count: Int
  /// Their mean.
  public let mean: Double
  /// s/√n with the sample deviation s (n − 1 degrees of freedom); nil for one value.
  public let standardError: Double?

  /// A known mean and its standard error.
  public init(count: Int, mean: Double, standardError: Double?) {
    (self.count, self.mean, self.standardError) = (count, mean, standardError)
  }

  /// Of some values; nil when there are none.
  public init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    let square = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    self.mean = mean
    count = values.count
    standardError = values.count > 1 ? (square / (n - 1) / n).squareRoot() : nil
  }
}
