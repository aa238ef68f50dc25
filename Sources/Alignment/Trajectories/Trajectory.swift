public import LinearAlgebra

/// The trajectory metrics of all tokens of one prompt, in float64.
public struct Trajectory: Sendable, Equatable {
  /// ‖x_t^l‖ (L + 1, tokens), l = 0 … L: before block 1, then after each block, before the final norm.
  public let norms: [[Double]]
  /// Per token; +∞ when its unit steps cancel.
  public let lineShapeScore: [Double]
  /// Per token, the steps that were left out of the line-shape score because they were zero.
  public let zeroSteps: [Int]
  /// a_l (L, tokens).
  public let growthPerBlock: [[Double]]
  /// Per token, the mean of a_l over blocks.
  public let growth: [Double]
  /// Per token; nil where |growth| < 10⁻¹².
  public let expodistance: [Double?]
}

/// Collects a `Trajectory` from one layer's states at a time, so that they need not all be kept: memory 2 n d.
public struct TrajectoryAccumulator: Sendable {
  private var previous: Matrix<Double>?
  /// ‖x_t^l‖ of the layers seen so far.
  public private(set) var norms: [[Double]] = []
  /// One a token, of the layers seen so far.
  public private(set) var shapes: [LineShape] = []

  /// Nothing seen yet.
  public init() {}

  /// Layers seen so far: L + 1 at the end.
  public var layers: Int { norms.count }

  /// The states X^l (n, d) of the next layer, l = 0 first, in whatever precision; widened before anything is computed.
  ///
  /// Throws `TrajectoryError.notFinite`. Precondition: one shape for all layers.
  public mutating func append<Scalar: RealScalar>(
    _ states: Matrix<Scalar>
  ) throws(TrajectoryError) {
    let x = states.converted(to: Double.self)
    let (n, d) = (x.rows, x.columns)
    var row: [Double] = []
    row.reserveCapacity(n)
    for t in 0..<n {
      let norm = euclideanNorm(x.elements.span.extracting(t * d..<(t + 1) * d))
      guard norm.isFinite else { throw .notFinite(layer: layers, token: t) }
      row.append(norm)
    }
    if let previous {
      precondition(previous.rows == n && previous.columns == d, "layers of different shapes")
      for t in 0..<n {
        shapes[t].append(
          from: previous.elements.span.extracting(t * d..<(t + 1) * d),
          to: x.elements.span.extracting(t * d..<(t + 1) * d))
      }
    } else {
      shapes = Array(repeating: LineShape(width: d), count: n)
    }
    norms.append(row)
    previous = x
  }

  /// The metrics of the layers seen.
  ///
  /// Throws `TrajectoryError`: no block, a zero state, a token no block moved.
  public func trajectory() throws(TrajectoryError) -> Trajectory {
    guard layers >= 2 else { throw .noBlocks }
    var growths: [ExponentialGrowth] = []
    var scores: [Double] = []
    for (t, shape) in shapes.enumerated() {
      growths.append(try ExponentialGrowth(norms: norms.map { $0[t] }, token: t))
      guard let score = shape.score else { throw .noSteps(token: t) }
      scores.append(score)
    }
    return Trajectory(
      norms: norms, lineShapeScore: scores, zeroSteps: shapes.map(\.zeroSteps),
      growthPerBlock: (0..<layers - 1).map { l in growths.map { $0.perBlock[l] } },
      growth: growths.map(\.mean), expodistance: growths.map(\.expodistance))
  }
}

/// A per-token number of one prompt, summed up: the first token apart, since with a beginning-of-sequence token it is an outlier.
public struct TokenSummary: Sendable, Equatable {
  /// Of the first token.
  public let first: Double?
  /// The mean over the tokens after it that have the number; nil when none has.
  public let others: Double?

  /// Of one number per token. Infinite ones have no mean and count as missing.
  public init(_ values: [Double?]) {
    first = values.first ?? nil
    others = MeanEstimate(values.dropFirst().compactMap { $0 }.filter(\.isFinite))?.mean
  }
}
