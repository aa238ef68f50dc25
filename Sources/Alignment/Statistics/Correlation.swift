import RealModule

/// Pearson's correlation of two lists and the line of ordinary least squares, score = intercept + slope · coupling.
///
///     r = Σ (x − x̄)(y − ȳ) / (Σ (x − x̄)² Σ (y − ȳ)²)^½,    R² = r²
///     p = P(|T| ≥ |t|),  t = r ((n − 2)/(1 − r²))^½,  T of Student's distribution with n − 2 degrees of freedom
///
/// The statistic of the figure of Aubry et al., arXiv 2407.07810: their R² = 0.80 is reproduced by it.
public struct Correlation: Sendable, Equatable, Codable {
  /// r in [−1, 1].
  public let r: Double
  /// Of the line.
  public let slope: Double
  /// Of the line.
  public let intercept: Double
  /// r².
  public let rSquared: Double
  /// Two-sided p.
  public let pValue: Double
  /// Points n.
  public let count: Int

  /// Of (xᵢ, yᵢ); nil for fewer than 3 points, a constant list, or a number that is not finite.
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

  /// The same on the points whose y exceeds `threshold`: the models above a score.
  public init?(_ x: [Double], _ y: [Double], above threshold: Double) {
    let kept = zip(x, y).filter { $0.1 > threshold }
    self.init(kept.map(\.0), kept.map(\.1))
  }
}

/// Spearman's ρ: Pearson's correlation of the ranks, equal numbers sharing the mean of their ranks.
public struct RankCorrelation: Sendable, Equatable, Codable {
  /// ρ in [−1, 1].
  public let rho: Double
  /// Two-sided p, from Student's t as for Pearson's r: an approximation for small n.
  public let pValue: Double
  /// Points n.
  public let count: Int

  /// Of (xᵢ, yᵢ); missing as for `Correlation`.
  public init?(_ x: [Double], _ y: [Double]) {
    guard x.allSatisfy(\.isFinite), y.allSatisfy(\.isFinite),
      let ranks = Correlation(Self.ranks(x), Self.ranks(y))
    else { return nil }
    (rho, pValue, count) = (ranks.r, ranks.pValue, ranks.count)
  }

  /// The rank of each number, from 1; ties share the mean.
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

/// The correlation of x and y that is left when z, say ln(width), is known.
///
///     r_{xy·z} = (r_xy − r_xz r_yz) / ((1 − r_xz²)(1 − r_yz²))^½,    n − 3 degrees of freedom
public struct PartialCorrelation: Sendable, Equatable, Codable {
  /// r_{xy·z} in [−1, 1].
  public let r: Double
  /// Two-sided p.
  public let pValue: Double
  /// Points n.
  public let count: Int

  /// Of (xᵢ, yᵢ) given zᵢ; nil for fewer than 4 points, a constant list, or x or y a linear function of z.
  public init?(_ x: [Double], _ y: [Double], given z: [Double]) {
    guard x.count >= 4, let xz = PairMoments(z, x), let yz = PairMoments(z, y),
      !xz.xIsConstant, !xz.yIsConstant, !yz.yIsConstant
    else { return nil }
    // Squared, rounding alone leaves about ε² n of a linear function; what is below that bound says nothing.
    let bound = 16 * Double.ulpOfOne * Double.ulpOfOne * Double(x.count)
    guard xz.unexplained > bound, yz.unexplained > bound else { return nil }
    // The correlation of the residuals, which is the formula above without its cancellation.
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
