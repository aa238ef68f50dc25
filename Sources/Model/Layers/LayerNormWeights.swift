import Autodiff
import LinearAlgebra

/// A LayerNorm as stored, with gain and bias if it has them.
public struct LayerNormWeights: NormWeights {
  /// The gain, one number per feature; nil for ones.
  public var gain: [Float]?
  /// The offset of the gain: 1 if the file stores gains minus 1.
  public var offset: Double
  /// The bias, one number per feature; nil for zeros.
  public var bias: [Float]?
  /// The ε added to the variance.
  public let epsilon: Double

  /// Creates a norm from its properties.
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

/// A LayerNorm of each head separately, with a gain and a bias for every head's features.
public struct HeadNormWeights: NormWeights {
  /// The number of heads.
  public let heads: Int
  /// The gain, (heads · features of a head).
  public let gain: [Float]
  /// The bias, of the same length.
  public var bias: [Float]?
  /// The ε added to the variance.
  public let epsilon: Double

  /// Creates a norm from its properties.
  public init(heads: Int, gain: [Float], bias: [Float]? = nil, epsilon: Double) {
    (self.heads, self.gain, self.bias, self.epsilon) = (heads, gain, bias, epsilon)
  }

  /// The normalised rows.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let y = x.layerNorm(gain: nil, bias: nil, epsilon: S(epsilon), groups: heads)
      .scaled(by: gain.map { S($0) })
    return bias.map { y.adding($0.map { S($0) }) } ?? y
  }

  /// The norm with the gains and biases of these heads.
  public func heads(_ range: Range<Int>, size: Int) -> (any NormWeights)? {
    let features = range.lowerBound * size..<range.upperBound * size
    return HeadNormWeights(
      heads: range.count, gain: Array(gain[features]), bias: bias.map { Array($0[features]) },
      epsilon: epsilon)
  }
}

extension WeightReader {
  /// The LayerNorm with `name.weight` and, if `bias`, `name.bias`; without either unless `affine`.
  public func layerNorm(
    _ name: String, width: Int, epsilon: Double, affine: Bool = true, bias: Bool = true
  ) throws -> LayerNormWeights {
    LayerNormWeights(
      gain: affine ? try vector("\(name).weight", count: width) : nil,
      bias: affine && bias ? try vector("\(name).bias", count: width) : nil, epsilon: epsilon)
  }

  /// The LayerNorm of heads with `size` features, which share one gain and one bias.
  public func headNorm(
    _ name: String, heads: Int, size: Int, epsilon: Double
  ) throws -> HeadNormWeights {
    let repeated = { (x: [Float]) in (0..<heads).flatMap { _ in x } }
    return HeadNormWeights(
      heads: heads, gain: repeated(try vector("\(name).weight", count: size)),
      bias: repeated(try vector("\(name).bias", count: size)), epsilon: epsilon)
  }
}
