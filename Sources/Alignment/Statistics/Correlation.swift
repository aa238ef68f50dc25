import RealModule

/// Pearson's correlation of two lists and the line of ordinary least squares, score = intercept + slope · coupling.
///
///     r = Σ (x − x̄)(y − ȳ) / (Σ (x − x̄)² Σ (y − ȳ)²)^½,    R² = r²
///     p = P(|T| ≥ |t|),  t = r ((n − 2)/(1 − r²))^½,  T of Student's distribution with n − 2 degrees of freedom
///
/// This is the statistic of the figure of Aubry et al., arXiv 2407.07810, and reproduces their R² = 0.80.
public struct Correlation: Sendable, Equatable, Codable {
  /// r in [−1, 1].
  public let r: Double
  /// The slope of the line.
  public let slope: Double
  /// The intercept of the line.
  public let intercept: Double
  /// r².
  public let rSquared: Double
  /// The two-sided p-value.
  public let pValue: Double
  /// The number of points n.
  public let count: Int

  /// The correlation of (xᵢ, yᵢ); nil for fewer than 3 points, a constant list, or a number that is not finite.
  public init?(_ x: [Double], _ y: [Double]) {
    guard let moments = PairMoments(x, y), !moments.xIsConstant, !moments.yIsConstant
    else { return nil }
    r = min(1, max(-1, moments.xy / moments.xx.squareRoot() / moments.yy.squareRoot()))
    slope = moments.xy / moments.xx
    intercept = moments.meanY - slope * moments.meanX
    rSquared = 1 - moments.unexplained
    count = x.count
    pValue = StudentT.twoSidedP(
      oneMinusRSquared: moments.unexplained, rSquared: r * r, degreesOfFreedom: count - 2)
  }

  /// The correlation over the points whose y exceeds `threshold`, such as the models above a score.
  public init?(_ x: [Double], _ y: [Double], above threshold: Double) {
    let kept = zip(x, y).filter { $0.1 > threshold }
    self.init(kept.map(\.0), kept.map(\.1))
  }
}

/// Spearman's ρ: Pearson's correlation of the ranks, where equal numbers share the mean of their ranks.
public struct RankCorrelation: Sendable, Equatable, Codable {
  /// ρ in [−1, 1].
  public let rho: Double
  /// The two-sided p-value from Student's t, as for Pearson's r: an approximation for small n.
  public let pValue: Double
  /// The number of points n.
  public let count: Int

  /// The correlation of (xᵢ, yᵢ); nil in the same cases as `Correlation`.
  public init?(_ x: [Double], _ y: [Double]) {
    guard x.allSatisfy(\.isFinite), y.allSatisfy(\.isFinite),
      let ranks = Correlation(Self.ranks(x), Self.ranks(y))
    else { return nil }
    (rho, pValue, count) = (ranks.r, ranks.pValue, ranks.count)
  }

  /// The rank of each number, counted from 1; ties share the mean.
  static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
      for i in order[start..<end] { ranks[i] = Double(start + 1 + end) / 2 }
      start = end
    }
    return ranks
  }
}

/// The correlation of x and y that remains after controlling for z, say ln(width).
///
///     r_{xy·z} = (r_xy − r_xz r_yz) / ((1 − r_xz²)(1 − r_yz²))^½,    n − 3 degrees of freedom
public struct PartialCorrelation: Sendable, Equatable, Codable {
  /// r_{xy·z} in [−1, 1].
  public let r: Double
  /// The two-sided p-value.
  public let pValue: Double
  /// The number of points n.
  public let count: Int

  /// The correlation of (xᵢ, yᵢ) given zᵢ; nil for fewer than 4 points, a constant list, or if x or y is a linear
  /// function of z.
  public init?(_ x: [Double], _ y: [Double], given z: [Double]) {
    guard x.count >= 4, let xz = PairMoments(z, x), let yz = PairMoments(z, y),
      !xz.xIsConstant, !xz.yIsConstant, !yz.yIsConstant
    else { return nil }
    // For a linear function, rounding alone leaves squares of about ε² n; anything below this bound is meaningless.
    let bound = 16 * Double.ulpOfOne * Double.ulpOfOne * Double(x.count)
    guard xz.unexplained > bound, yz.unexplained > bound else { return nil }
    // The correlation of the residuals, which equals the formula above without its cancellation.
    let residuals = { (v: [Double], m: PairMoments) in
      zip(z, v).map { ($1 - m.meanY) - m.xy / m.xx * ($0 - m.meanX) }
    }
    guard let rest = Correlation(residuals(x, xz), residuals(y, yz)),
      let moments = PairMoments(residuals(x, xz), residuals(y, yz))
    else { return nil }
    r = rest.r
    pValue = StudentT.twoSidedP(
      oneMinusRSquared: moments.unexplained, rSquared: r * r, degreesOfFreedom: x.count - 3)
    count = x.count
  }
}
