import Autodiff
import LinearAlgebra

/// A LayerNorm as stored: gain and bias where it has them.
public struct LayerNormWeights: NormWeights {
  /// One number per feature.
  public var gain: [Float]?
  /// What is added to the gain: 1 where its distance from 1 is stored.
  public var offset: Double
  /// One number per feature.
  public var bias: [Float]?
  /// What is added to the variance.
  public let epsilon: Double

  /// A norm; its arguments are its properties.
  public init(
    gain: [Float]? = nil, offset: Double = 0, bias: [Float]? = nil, epsilon: Double
  ) {
    (self.gain, self.offset, self.bias, self.epsilon) = (gain, offset, bias, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.layerNorm(
      gain: gain?.map { S($0) + S(offset) }, bias: bias?.map { S($0) }, epsilon: S(epsilon))
  }
}

/// A LayerNorm of every head by itself, with gain and bias of every head's features.
public struct HeadNormWeights: NormWeights {
  /// Heads.
  public let heads: Int
  /// (heads · features of a head)
  public let gain: [Float]
  /// As many numbers.
  public var bias: [Float]?
  /// What is added to the variance.
  public let epsilon: Double

  /// A norm; its arguments are its properties.
  public init(heads: Int, gain: [Float], bias: [Float]? = nil, epsilon: Double) {
    (self.heads, self.gain, self.bias, self.epsilon) = (heads, gain, bias, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let y = x.layerNorm(gain: nil, bias: nil, epsilon: S(epsilon), groups: heads)
      .scaled(by: gain.map { S($0) })
    return bias.map { y.adding($0.map { S($0) }) } ?? y
  }
}

extension WeightReader {
  /// `name.weight` and, when `bias`, `name.bias`; neither of them unless `affine`.
  public func layerNorm(
    _ name: String, width: Int, epsilon: Double, affine: Bool = true, bias: Bool = true
  ) throws -> LayerNormWeights {
    LayerNormWeights(
      gain: affine ? try vector("\(name).weight", count: width) : nil,
      bias: affine && bias ? try vector("\(name).bias", count: width) : nil, epsilon: epsilon)
  }

  /// The same for heads of `size` features, which share one gain and one bias.
  public func headNorm(
    _ name: String, heads: Int, size: Int, epsilon: Double
  ) throws -> HeadNormWeights {
    let repeated = { (x: [Float]) in (0..<heads).flatMap { _ in x } }
    return HeadNormWeights(
      heads: heads, gain: repeated(try vector("\(name).weight", count: size)),
      bias: repeated(try vector("\(name).bias", count: size)), epsilon: epsilon)
  }
}
