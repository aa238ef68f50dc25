/// A mean and its standard error.
public struct MeanEstimate: Sendable, Equatable, Codable {
  /// The number of values.
  public let count: Int
  /// Their mean.
  public let mean: Double
  /// s/√n with the sample deviation s (n − 1 degrees of freedom); nil for one value.
  public let standardError: Double?

  /// Creates an estimate from a known mean and its standard error.
  public init(count: Int, mean: Double, standardError: Double?) {
    (self.count, self.mean, self.standardError) = (count, mean, standardError)
  }

  /// The mean of some values; nil if there are none.
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
