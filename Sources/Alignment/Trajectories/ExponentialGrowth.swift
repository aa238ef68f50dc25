import RealModule

/// The growth of the norm along one path from block to block.
///
///     a_l  = ln(‖x^l‖ / ‖x^{l−1}‖),  l = 1 … L
///     mean = (ln ‖x^L‖ − ln ‖x⁰‖) / L
///     ED   = Var(a) / mean²           (population variance: the squared coefficient of variation of a)
///
/// ED ≥ 0, and 0 iff ‖x^l‖ is exactly exponential in l; scaling the whole path changes nothing. The mean depends only
/// on the norms at both ends. Aubry et al., arXiv 2407.07810.
public struct ExponentialGrowth: Sendable, Equatable {
  /// a_1 … a_L, by natural logarithms.
  public let perBlock: [Double]
  /// The exponential growth coefficient, per block.
  public let mean: Double

  /// The growth of the norms ‖x⁰‖ … ‖x^L‖.
  ///
  /// Throws `TrajectoryError`, which names `token`, if L = 0 or a norm is zero or not finite.
  public init(norms: [Double], token: Int = 0) throws(TrajectoryError) {
    guard norms.count >= 2 else { throw .noBlocks }
    for (layer, norm) in norms.enumerated() {
      guard norm.isFinite else { throw .notFinite(layer: layer, token: token) }
      guard norm > 0 else { throw .zeroNorm(layer: layer, token: token) }
    }
    // Differences of logarithms, since a quotient of norms could overflow.
    let logarithms = norms.map { Double.log($0) }
    perBlock = zip(logarithms, logarithms.dropFirst()).map { $1 - $0 }
    mean = (logarithms[norms.count - 1] - logarithms[0]) / Double(norms.count - 1)
  }

  /// ED; nil if |mean| < 10⁻¹², where it is a quotient of rounding errors.
  public var expodistance: Double? {
    guard abs(mean) >= 1e-12 else { return nil }
    let square = perBlock.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return square / Double(perBlock.count) / (mean * mean)
  }
}
