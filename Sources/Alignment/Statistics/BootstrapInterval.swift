import LinearAlgebra

/// A percentile interval of a statistic over prompts (or models), by resampling them with replacement.
///
/// It is meant for statistics whose distribution is not known, such as a correlation of the means of models over
/// their prompts. With few values it is too short; for a plain mean, use `MeanInterval`.
///
/// Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13.
public struct BootstrapInterval: Sendable, Equatable, Codable {
  /// The (1 − level)/2 quantile of the resampled statistic.
  public let lower: Double
  /// The (1 + level)/2 quantile.
  public let upper: Double
  /// The probability between them, such as 0.95.
  public let level: Double
  /// The number of resamples on which the statistic was defined.
  public let resamples: Int

  /// The interval of `statistic`, which receives `count` indices drawn from 0 ..< count.
  ///
  /// It receives indices rather than values, so that pairs are drawn together. nil if there are fewer than 2 items to
  /// draw, or if the statistic is undefined on more than half of the draws. The same seed gives the same interval.
  public init?(
    count: Int, level: Double = 0.95, resamples: Int = 2000, seed: UInt64 = 0,
    statistic: ([Int]) -> Double?
  ) {
    self.init(strata: [count], level: level, resamples: resamples, seed: seed) { statistic($0[0]) }
  }

  /// The interval for items in strata, such as the prompts of several models: each stratum is resampled within
  /// itself.
  ///
  /// `statistic` receives the indices drawn in each stratum. nil if no stratum has 2 items to draw, and otherwise as
  /// above.
  public init?(
    strata counts: [Int], level: Double = 0.95, resamples: Int = 2000, seed: UInt64 = 0,
    statistic: ([[Int]]) -> Double?
  ) {
    precondition(level > 0 && level < 1 && resamples >= 1, "a level outside (0, 1) or no resamples")
    guard counts.contains(where: { $0 >= 2 }) else { return nil }
    var generator = SeededGenerator(seed: seed)
    var draws = counts.map { [Int](repeating: 0, count: $0) }
    var values: [Double] = []
    for _ in 0..<resamples {
      for (s, count) in counts.enumerated() {
        for i in 0..<count {
          // The high word of the product is uniform enough (bias count/2⁶⁴) and the same in every release.
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

  /// The quantile of sorted values, with linear interpolation between neighbours.
  static func quantile(_ q: Double, sorted values: [Double]) -> Double {
    let position = q * Double(values.count - 1)
    let below = Int(position)
    let above = min(below + 1, values.count - 1)
    return values[below] + (position - Double(below)) * (values[above] - values[below])
  }
}
