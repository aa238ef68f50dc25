/// The line-shape score of one path x⁰ … x^L, step by step.
///
///     LSS = L / ‖e₁ + … + e_L‖,    e_l = (x^l − x^{l−1}) / ‖x^l − x^{l−1}‖
///
/// At least 1, and 1 iff all steps point one way; about √L for independent directions in high dimension; +∞ if the unit
/// steps cancel. A zero step has no direction: it is left out, lowers L by one, and is counted. Unchanged by the lengths
/// of the steps.
///
/// Gai & Zhang, "A Mathematical Principle of Deep Learning: Learn the Geodesic Curve in the Wasserstein Space", 2021;
/// Aubry et al., arXiv 2407.07810.
public struct LineShape: Sendable {
  private var sum: [Double]
  /// L: steps that have a direction.
  public private(set) var steps = 0
  /// Steps left out.
  public private(set) var zeroSteps = 0

  /// A path in ℝᵈ that has not moved yet.
  public init(width d: Int) { sum = Array(repeating: 0, count: d) }

  /// The whole of a path. Precondition: its points have one length.
  public init(path: [[Double]]) {
    self.init(width: path.first?.count ?? 0)
    for (x, next) in zip(path, path.dropFirst()) { append(from: x.span, to: next.span) }
  }

  /// One more step.
  public mutating func append(from x: borrowing Span<Double>, to next: borrowing Span<Double>) {
    precondition(x.count == sum.count && next.count == sum.count, "states of another width")
    // Scaled by the largest entry, so that no square over- or underflows.
    var scale = 0.0
    for i in sum.indices { scale = max(scale, abs(next[i] - x[i])) }
    guard scale > 0 else {
      zeroSteps += 1
      return
    }
    var square = 0.0
    for i in sum.indices {
      let part = (next[i] - x[i]) / scale
      square += part * part
    }
    let length = square.squareRoot()
    for i in sum.indices { sum[i] += (next[i] - x[i]) / scale / length }
    steps += 1
  }

  /// LSS; nil when no step has a direction, +∞ when the unit steps cancel exactly.
  public var score: Double? {
    guard steps > 0 else { return nil }
    return Double(steps) / euclideanNorm(sum.span)
  }
}
