import Autodiff
import LinearAlgebra

/// An attention without keys and values of its own: it attends to those of an earlier block, which are held, so that
/// its Jacobian is zero except from a token to itself.
public struct SharedAttention: Mixer {
  /// The earlier block, counted from 0.
  public var source: Int
  /// The map to the queries.
  public var query: LinearWeights
  /// The attention's settings; its projection is not used.
  public var attention: AttentionWeights

  /// The number of query heads.
  public var heads: Int { attention.heads }

  /// Attention over `h`, the rows of the stream after the norm, if any.
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
