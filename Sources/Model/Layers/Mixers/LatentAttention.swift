import Autodiff
import LinearAlgebra

/// Multi-head latent attention as stored: keys and values of all heads come out of one vector of low rank, and queries may.
///
/// A head's queries and keys are n features of its own beside r that rotate, and the rotating keys are one for all heads:
/// k = [up norm(c), R c′] with (c, c′) = down h. Values have a size of their own.
/// DeepSeek-AI, arXiv 2405.04434, section 2.1.
public struct LatentAttention: Mixer {
  /// The way to the queries.
  public enum Queries: Sendable {
    /// One matrix.
    case direct(LinearWeights)
    /// up norm(down h).
    case lowRank(down: LinearWeights, norm: RMSNormWeights, up: LinearWeights)
  }

  /// What makes keys and values of a normalised vector of low rank.
  public enum KeysAndValues: Sendable {
    /// One matrix: of every head its keys, then its values.
    case together(LinearWeights)
    /// A matrix of keys for each head, and one of all values.
    case apart(keys: [LinearWeights], values: LinearWeights)
  }

  /// Heads.
  public var heads: Int
  /// Features of a head's queries and keys that do not rotate, n.
  public var plainDimension: Int
  /// Those that do, r.
  public var rotatedDimension: Int
  /// Features of a head's values.
  public var valueDimension: Int
  /// To the queries, of every head the n features before the r.
  public var queries: Queries
  /// To the vector of low rank and, after it, the keys that rotate.
  public var down: LinearWeights
  /// The norm of the former.
  public var norm: RMSNormWeights
  /// To keys and values.
  public var up: KeysAndValues
  /// Back to the width of the stream.
  public var output: LinearWeights
  /// Factor of the scores.
  public var scale: Double
  /// The rotation by positions.
  public var rotary: RotaryFrequencies
  /// Which features rotate together.
  public var pairing: RotaryPairing

  /// Attention to `h`, the rows of a stream after whatever norm comes first.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let (n, r) = (plainDimension, rotatedDimension)
    // The first features of a head are those that rotate: scores do not depend on the order.
    let order = features(rotated: { head in head * (n + r) + n }, plain: { head in head * (n + r) })
    let q = context.rotate(
      queries: queryFeatures(h.target).gather(columns: order), heads: heads, by: rotary,
      pairing: pairing)
    let latent = down(h.source)
    let rank = latent.columns - r
    let rotated = context.rotate(
      keys: latent.columns(rank..<rank + r), heads: 1, by: rotary, pairing: pairing)
    let (plain, values) = keysAndValues(norm(latent.columns(0..<rank)))
    let keys = Variable.joined([rotated, plain])
      .gather(columns: features(rotated: { _ in 0 }, plain: { head in r + head * n }))
    let settings = AttentionSettings(
      heads: heads, keyValueHeads: heads, headDimension: n + r, valueDimension: valueDimension,
      scale: scale)
    return output(context.attend(queries: q, keys: keys, values: values, settings: settings))
  }

  /// The features of all heads' queries or keys, those that rotate first, from where each head's begin.
  private func features(rotated: (Int) -> Int, plain: (Int) -> Int) -> [Int] {
    var result: [Int] = []
    for head in 0..<heads {
      result += rotated(head)..<rotated(head) + rotatedDimension
      result += plain(head)..<plain(head) + plainDimension
    }
    return result
  }

  private func queryFeatures<S: RealScalar>(_ h: Variable<S>) -> Variable<S> {
    switch queries {
    case .direct(let weights): weights(h)
    case .lowRank(let down, let norm, let up): up(norm(down(h)))
    }
  }

  /// Keys that do not rotate (rows, heads · n), and values.
  private func keysAndValues<S: RealScalar>(
    _ c: Variable<S>
  ) -> (keys: Variable<S>, values: Variable<S>) {
    switch up {
    case .apart(let keys, let values): return (.joined(keys.map { $0(c) }), values(c))
    case .together(let weights):
      let all = weights(c)
      let size = plainDimension + valueDimension
      let pick = { (part: Range<Int>) -> Variable<S> in
        var columns: [Int] = []
        for head in 0..<heads { columns += part.map { head * size + $0 } }
        return all.gather(columns: columns)
      }
      return (pick(0..<plainDimension), pick(plainDimension..<size))
    }
  }
}
