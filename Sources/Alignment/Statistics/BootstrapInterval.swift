import LinearAlgebra

/// A percentile interval of a statistic over prompts (or models), by resampling them with replacement.
///
/// For statistics whose distribution is not known, such as a correlation of the means of models over their prompts. Too short for
/// few of them; of a plain mean, `MeanInterval` is not.
///
/// Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
public struct BootstrapInterval: Sendable, Equatable, Codable {
  /// The (1 − level)/2 quantile of the resampled statistic.
  public let lower: Double
  /// The (1 + level)/2 quantile.
  public let upper: Double
  /// Probability between them, e.g. 0.95.
  public let level: Double
  /// Resamples on which the statistic was defined.
  public let resamples: Int

  /// The interval of `statistic`, which is given the drawn indices 0 ..< count, count of them.
  ///
  /// Indices rather than values, so that pairs are drawn together. nil when fewer than 2 things can be drawn, or the
  /// statistic is missing on more than half of the draws. The same seed gives the same interval.
  public init?(
    count: Int, level: Double = 0.95, resamples: Int = 2000, seed: UInt64 = 0,
    statistic: ([Int]) -> Double?
  ) {
    self.init(strata: [count], level: level, resamples: resamples, seed: seed) { statistic($0[0]) }
  }

  /// The same for things in strata, such as the prompts of several models: each stratum is resampled within itself.
  ///
  /// `statistic` is given the indices drawn in each. nil when no stratum has 2 things to draw from, else as above.
  public init?(
    strata counts: [Int], level: Double = 0.95, resamples: Int = 2000, seed: UInt64 = 0,
    statistic: ([[Int]]) -> Double?
  ) {
    precondition(level > 0 && level < 1 && resamples >= 1, "a level in (0, 1) and some resamples")
    guard counts.contains(where: { $0 >= 2 }) else { return nil }
    var generator = SeededGenerator(seed: seed)
    var draws = counts.map { [Int](repeating: 0, count: $0) }
    var values: [Double] = []
    for _ in 0..<resamples {
      for (s, count) in counts.enumerated() {
        for i in 0..<count {
          // The high word of a product is uniform enough (bias count/2⁶⁴) and the same in every release.
          draws[s][i] = Int(UInt64(count).multipliedFullWidth(by: generator.next()).high)
        }
      }
      if let value = statistic(draws), value.isFinite { values.append(value) }
    }
    guard 2 * values.count > resamples else { return nil }
    values.sort()
    lower = Self.quantile((1 - level) / 2, sorted: values)
    upper = Self.quantile((1 + level) / 2, sorted: values)
    self.level = level
    self.resamples = values.count
  }

  /// The quantile of sorted values, linear between neighbours.
  static func quantile(_ q: Double, sorted values: [Double]) -> Double {
    let position = q * Double(values.count - 1)
    let below = Int(position)
    let above = min(below + 1, values.count - 1)
    return values[below] + (position - Double(below)) * (values[above] - values[below])
  }
}
