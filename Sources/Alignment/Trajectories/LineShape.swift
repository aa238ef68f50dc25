/// The line-shape score of one path x⁰ … x^L, step by step.
///
///     LSS = L / ‖e₁ + … + e_L‖,    e_l = (x^l − x^{l−1}) / ‖x^l − x^{l−1}‖
///
/// At least 1, and 1 iff all steps have the same direction; about √L for independent directions in high dimension; +∞
/// if the unit steps cancel. A zero step has no direction: it is left out, reduces L by one, and is counted. The
/// lengths of the steps do not matter.
///
/// Gai & Zhang, "A Mathematical Principle of Deep Learning: Learn the Geodesic Curve in the Wasserstein Space", 2021;
/// Aubry et al., arXiv 2407.07810.
public struct LineShape: Sendable {
  private var sum: [Double]
  /// L, the number of steps that have a direction.
  public private(set) var steps = 0
  /// The number of zero steps, which were left out.
  public private(set) var zeroSteps = 0

  /// A path in ℝᵈ without steps.
  public init(width d: Int) { sum = Array(repeating: 0, count: d) }

  /// A whole path. Precondition: all points have the same length.
  public init(path: [[Double]]) {
    self.init(width: path.first?.count ?? 0)
    for (x, next) in zip(path, path.dropFirst()) { append(from: x.span, to: next.span) }
  }

  /// Appends one step.
  public mutating func append(from x: borrowing Span<Double>, to next: borrowing Span<Double>) {
    precondition(x.count == sum.count && next.count == sum.count, "the states have another width")
    // Scaled by the largest entry, so that no square overflows or underflows.
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

  /// LSS; nil if no step has a direction, +∞ if the unit steps cancel exactly.
  public var score: Double? {
    guard steps > 0 else { return nil }
    return Double(steps) / euclideanNorm(sum.span)
  }
}
