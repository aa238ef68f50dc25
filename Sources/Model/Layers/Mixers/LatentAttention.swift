import Autodiff
import LinearAlgebra

/// Multi-head latent attention as stored: the keys and values of all heads are computed from one low-rank vector, and
/// queries may be as well.
///
/// A head's queries and keys have n features of their own and r rotated ones, and the rotated keys are shared by all
/// heads: k = [up norm(c), R c′] with (c, c′) = down h. Values have their own size.
/// DeepSeek-AI, arXiv 2405.04434, section 2.1.
public struct LatentAttention: Mixer {
  /// The maps to the queries.
  public enum Queries: Sendable {
    /// A single matrix.
    case direct(LinearWeights)
    /// A low-rank map, up norm(down h).
    case lowRank(down: LinearWeights, norm: RMSNormWeights, up: LinearWeights)
  }

  /// The maps from a normalised low-rank vector to keys and values.
  public enum KeysAndValues: Sendable {
    /// One matrix, with each head's keys before its values.
    case together(LinearWeights)
    /// A matrix of keys for each head, and one of all values.
    case apart(keys: [LinearWeights], values: LinearWeights)
  }

  /// The number of heads.
  public var heads: Int
  /// n, the number of features of a head's queries and keys that do not rotate.
  public var plainDimension: Int
  /// r, the number of features that rotate.
  public var rotatedDimension: Int
  /// The number of features of a head's values.
  public var valueDimension: Int
  /// The maps to the queries, with each head's n features before its r.
  public var queries: Queries
  /// The map to the low-rank vector, followed by the rotated keys.
  public var down: LinearWeights
  /// The norm of the low-rank vector.
  public var norm: RMSNormWeights
  /// The maps to keys and values.
  public var up: KeysAndValues
  /// The map back to the width of the stream.
  public var output: LinearWeights
  /// The factor of the scores.
  public var scale: Double
  /// The rotation by positions.
  public var rotary: RotaryFrequencies
  /// Which features of a head rotate together.
  public var pairing: RotaryPairing

  /// Attention over `h`, the rows of the stream after the norm, if any.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let (n, r) = (plainDimension, rotatedDimension)
    // Put the rotated features of a head first: scores do not depend on the order.
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

  /// The indices of the features of all heads' queries or keys, rotated ones first, given where each head's start.
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

  /// The keys that do not rotate (rows, heads · n), and the values.
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
