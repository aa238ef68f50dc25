import Autodiff
import LinearAlgebra

/// A normalisation as stored, applied to each row.
public protocol NormWeights: Sendable {
  /// The normalised rows.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// The norm of some heads of `size` features alone; nil if it depends on the other heads.
  func heads(_ range: Range<Int>, size: Int) -> (any NormWeights)?
}

extension NormWeights {
  /// nil, since a norm of all features depends on all heads.
  public func heads(_ range: Range<Int>, size: Int) -> (any NormWeights)? { nil }
}

/// An RMSNorm as stored, of all features, or of equal groups of them (heads) as long as the gain, each separately.
public struct RMSNormWeights: NormWeights {
  /// The gain, one number per feature of a group.
  public let gain: [Float]
  /// The offset of the gain: 1 if the file stores gains minus 1.
  public var offset: Double
  /// The factor of the gain.
  public var scale: Double
  /// The ε added to the mean of squares.
  public let epsilon: Double

  /// Creates a norm from its properties.
  public init(gain: [Float], offset: Double = 0, scale: Double = 1, epsilon: Double) {
    (self.gain, self.offset, self.scale, self.epsilon) = (gain, offset, scale, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(
      gain: gain.map { S(scale) * (S($0) + S(offset)) }, epsilon: S(epsilon),
      groups: x.columns / gain.count)
  }

  /// The norm itself, if it is one of every head.
  public func heads(_ range: Range<Int>, size: Int) -> (any NormWeights)? {
    gain.count == size ? self : nil
  }
}

/// An RMSNorm of equal parts of the features, each separately, with a gain for every feature.
public struct GroupNormWeights: NormWeights {
  /// The number of parts.
  public let groups: Int
  /// The gain, one number per feature.
  public let gain: [Float]
  /// The ε added to the mean of squares.
  public let epsilon: Double

  /// Creates a norm from its properties.
  public init(groups: Int, gain: [Float], epsilon: Double) {
    (self.groups, self.gain, self.epsilon) = (groups, gain, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(gain: nil, epsilon: S(epsilon), groups: groups).scaled(by: gain.map { S($0) })
  }
}

/// One factor per feature, in place of a norm: how much of a half of a block is added to the stream.
/// Touvron et al., arXiv 2103.17239.
struct ScaleWeights: NormWeights {
  let factors: [Float]

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.scaled(by: factors.map { S($0) })
  }
}
