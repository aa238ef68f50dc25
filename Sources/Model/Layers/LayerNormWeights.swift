import Autodiff
import LinearAlgebra

/// A LayerNorm as stored: gain and bias where it has them.
struct LayerNormWeights: NormWeights {
  var gain: [Float]?
  var bias: [Float]?
  let epsilon: Double

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.layerNorm(
      gain: gain?.map { S($0) }, bias: bias?.map { S($0) }, epsilon: S(epsilon))
  }
}

/// A LayerNorm of every head by itself, with gain and bias of every head's features.
struct HeadNormWeights: NormWeights {
  let heads: Int
  /// (heads · features of a head)
  let gain: [Float]
  var bias: [Float]?
  let epsilon: Double

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let y = x.layerNorm(gain: nil, bias: nil, epsilon: S(epsilon), groups: heads)
      .scaled(by: gain.map { S($0) })
    return bias.map { y.adding($0.map { S($0) }) } ?? y
  }
}

extension WeightReader {
  /// `name.weight` and, when `bias`, `name.bias`; neither of them unless `affine`.
  func layerNorm(
    _ name: String, width: Int, epsilon: Double, affine: Bool = true, bias: Bool = true
  ) throws -> LayerNormWeights {
    LayerNormWeights(
      gain: affine ? try vector("\(name).weight", count: width) : nil,
      bias: affine && bias ? try vector("\(name).bias", count: width) : nil, epsilon: epsilon)
  }
}
