/// y ≈ intercept + slope · x by ordinary least squares.
public struct LineFit: Sendable, Equatable, Codable {
  /// b = Σ (x − x̄)(y − ȳ) / Σ (x − x̄)².
  public let slope: Double
  /// a = ȳ − b x̄.
  public let intercept: Double
  /// R² = 1 − Σ residual² / Σ (y − ȳ)²; nil if y is constant.
  public let rSquared: Double?
  /// The number of points.
  public let count: Int

  /// The line through (xᵢ, yᵢ); nil for fewer than 3 points, a constant x, or a number that is not finite.
  public init?(_ x: [Double], _ y: [Double]) {
    guard let moments = PairMoments(x, y), !moments.xIsConstant else { return nil }
    slope = moments.xy / moments.xx
    intercept = moments.meanY - slope * moments.meanX
    rSquared = moments.yIsConstant ? nil : 1 - moments.unexplained
    count = x.count
  }
}

/// Means and central second moments of n ≥ 3 pairs of finite numbers.
struct PairMoments {
  let meanX, meanY, xx, yy, xy: Double
  let xIsConstant, yIsConstant: Bool
  /// 1 − r² = Σ residual² / Σ (y − ȳ)², from the residuals themselves, so that it stays accurate when |r| is near 1.
  let unexplained: Double

  init?(_ x: [Double], _ y: [Double]) {
    precondition(x.count == y.count, "\(x.count) numbers x, \(y.count) numbers y")
    guard x.count >= 3, x.allSatisfy(\.isFinite), y.allSatisfy(\.isFinite) else { return nil }
    let n = Double(x.count)
    let (meanX, meanY) = (x.reduce(0, +) / n, y.reduce(0, +) / n)
    let (dx, dy) = (x.map { $0 - meanX }, y.map { $0 - meanY })
    (self.meanX, self.meanY) = (meanX, meanY)
    xx = dx.reduce(0) { $0 + $1 * $1 }
    yy = dy.reduce(0) { $0 + $1 * $1 }
    // Numbers whose squares overflow cannot be used.
    guard xx.isFinite, yy.isFinite else { return nil }
    xy = zip(dx, dy).reduce(0) { $0 + $1.0 * $1.1 }
    // Compare the numbers, not the variance with 0: the mean of equal numbers may have an error of an ulp.
    xIsConstant = x.min() == x.max() || xx == 0
    yIsConstant = y.min() == y.max() || yy == 0
    let slope = xy / xx
    let residual = zip(dx, dy).reduce(0) {
      let e = $1.1 - slope * $1.0
      return $0 + e * e
    }
    unexplained = min(1, residual / yy)
  }
}
