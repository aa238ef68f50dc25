import Autodiff
import LinearAlgebra

/// A gated short convolution as stored: from h are computed B, C and x, one after another, and then output(C ∘ conv(B
/// ∘ x)).
///
/// A token sees itself and the K − 1 before it. If gates are held, these are B and C. Liquid AI, LFM2 technical
/// report,
/// arXiv 2511.23404.
public struct ShortConvolutionWeights: Mixer {
  /// The map to B, C and x.
  public var input: LinearWeights
  /// The convolution.
  public var convolution: ConvolutionWeights
  /// The map back to the width of the stream.
  public var output: LinearWeights

  /// Creates a gated short convolution from its properties.
  public init(input: LinearWeights, convolution: ConvolutionWeights, output: LinearWeights) {
    (self.input, self.convolution, self.output) = (input, convolution, output)
  }

  /// The mixer's output at the targets.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let all = h.map { input($0) }
    let n = all.source.columns / 3
    let y = context.convolve(
      all.source.columns(0..<n).asGate * all.source.columns(2 * n..<3 * n),
      by: convolution.converted(to: S.self))
    return output(
      all.target.columns(n..<2 * n).asGate * context.atTargets(y, reach: convolution.width))
  }
}
