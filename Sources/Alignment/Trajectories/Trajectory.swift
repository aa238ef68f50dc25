public import LinearAlgebra

/// The trajectory metrics of all tokens of one prompt, in double precision.
public struct Trajectory: Sendable, Equatable {
  /// ‖x_t^l‖ (L + 1, tokens), l = 0 … L: before block 1, then after each block, before the final norm.
  public let norms: [[Double]]
  /// The line-shape score per token; +∞ if its unit steps cancel.
  public let lineShapeScore: [Double]
  /// The number of steps per token that the line-shape score leaves out because they are zero.
  public let zeroSteps: [Int]
  /// a_l (L, tokens).
  public let growthPerBlock: [[Double]]
  /// The mean of a_l over blocks, per token.
  public let growth: [Double]
  /// The expodistance per token; nil where |growth| < 10⁻¹².
  public let expodistance: [Double?]
}

/// Computes a `Trajectory` from one layer's states at a time, so that not all layers need to be kept: memory 2 n d.
public struct TrajectoryAccumulator: Sendable {
  private var previous: Matrix<Double>?
  /// ‖x_t^l‖ of the layers seen so far.
  public private(set) var norms: [[Double]] = []
  /// The line shape of each token, over the layers seen so far.
  public private(set) var shapes: [LineShape] = []

  /// An accumulator that has seen no layers yet.
  public init() {}

  /// The number of layers seen so far: L + 1 at the end.
  public var layers: Int { norms.count }

  /// Adds the states X^l (n, d) of the next layer, starting with l = 0, in any precision; they are converted to
  /// double first.
  ///
  /// Throws `TrajectoryError.notFinite`. Precondition: all layers have the same shape.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
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
      precondition(previous.rows == n && previous.columns == d, "layers differ in shape")
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

  /// The metrics of the layers seen so far.
  ///
  /// Throws `TrajectoryError` if there is no block, for a zero state, and for a token that no block moved.
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

/// A summary of a per-token quantity in one prompt; the first token is kept apart, since a beginning-of-sequence token
/// is an outlier.
public struct TokenSummary: Sendable, Equatable {
  /// The value for the first token.
  public let first: Double?
  /// The mean over the other tokens that have a value; nil if none has.
  public let others: Double?

  /// The summary of one value per token. Infinite values count as missing.
  public init(_ values: [Double?]) {
    first = values.first ?? nil
    others = MeanEstimate(values.dropFirst().compactMap { $0 }.filter(\.isFinite))?.mean
  }
}
