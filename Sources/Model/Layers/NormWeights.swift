import Autodiff
import LinearAlgebra

/// A normalisation as stored, row by row.
protocol NormWeights: Sendable {
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
}

/// An RMSNorm as stored, of all features, or of as many groups of them (heads) as the gain goes into, each by itself.
struct RMSNormWeights: NormWeights {
  let gain: [Float]
  /// What is added to the gain: 1 where its distance from 1 is stored.
  var offset = 0.0
  let epsilon: Double

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(
      gain: gain.map { S($0) + S(offset) }, epsilon: S(epsilon), groups: x.columns / gain.count)
  }
}
