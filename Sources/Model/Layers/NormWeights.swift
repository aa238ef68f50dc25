import Autodiff
import LinearAlgebra

/// A normalisation as stored, row by row.
public protocol NormWeights: Sendable {
  /// The normalised rows.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
}

/// An RMSNorm as stored, of all features, or of as many groups of them (heads) as the gain goes into, each by itself.
public struct RMSNormWeights: NormWeights {
  /// One number per feature of a group.
  public let gain: [Float]
  /// What is added to the gain: 1 where its distance from 1 is stored.
  public var offset: Double
  /// Factor of the gain.
  public var scale: Double
  /// What is added to the mean of squares.
  public let epsilon: Double

  /// A norm; its arguments are its properties.
  public init(gain: [Float], offset: Double = 0, scale: Double = 1, epsilon: Double) {
    (self.gain, self.offset, self.scale, self.epsilon) = (gain, offset, scale, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(
      gain: gain.map { S(scale) * (S($0) + S(offset)) }, epsilon: S(epsilon),
      groups: x.columns / gain.count)
  }
}

/// An RMSNorm of equal parts of the features, each by itself, with a gain for every feature.
public struct GroupNormWeights: NormWeights {
  /// Parts.
  public let groups: Int
  /// One number per feature.
  public let gain: [Float]
  /// What is added to the mean of squares.
  public let epsilon: Double

  /// A norm; its arguments are its properties.
  public init(groups: Int, gain: [Float], epsilon: Double) {
    (self.groups, self.gain, self.epsilon) = (groups, gain, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(gain: nil, epsilon: S(epsilon), groups: groups).scaled(by: gain.map { S($0) })
  }
}

/// One factor a feature, in the place of a norm: how much of a half of a block is added to the stream.
/// Touvron et al., arXiv 2103.17239.
struct ScaleWeights: NormWeights {
  let factors: [Float]

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.scaled(by: factors.map { S($0) })
  }
}
