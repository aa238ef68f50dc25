import Autodiff
import LinearAlgebra

/// An attention without keys and values of its own: it looks at those of an earlier block, which are held constant, so that
/// its Jacobian goes from a token to itself alone.
public struct SharedAttention: Mixer {
  /// The earlier block, counted from 0.
  public var source: Int
  /// To the queries.
  public var query: LinearWeights
  /// The attention of that kind; its projection is not read.
  public var attention: AttentionWeights

  /// Those of the queries.
  public var heads: Int { attention.heads }

  /// Attention of `h`, the rows of a stream after whatever norm comes first.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    var q = query(h.target)
    if let norm = attention.queryNorm { q = norm(q) }
    if let rotary = attention.rotary {
      q = context.rotate(
        queries: q, heads: attention.heads, by: rotary, pairing: attention.pairing)
    }
    return attention.output(context.attendEarlier(queries: q, settings: attention.settings))
  }
}
