import Autodiff
import LinearAlgebra

/// A self-attention as stored, and what kind it is: h ↦ output(attend(queries h, keys h, values h)).
struct AttentionWeights: Sendable {
  var heads: Int
  var keyValueHeads: Int
  var headDimension: Int
  var projection: QueryKeyValue
  var output: LinearWeights
  /// Factor of the scores; headDimension^(−½) if nil.
  var scale: Double?
  /// Queries, keys and values beyond ± this number are cut off there.
  var clip: Double?
  /// Norms of queries and keys, before they are rotated.
  var queryNorm: (any NormWeights)?
  var keyNorm: (any NormWeights)?
  var rotary: RotaryFrequencies?
  var pairing = RotaryPairing.split
  /// Whether a token sees only those before it and itself.
  var isCausal = true
  /// A token sees itself and the window − 1 before it.
  var window: Int?
  /// c of the soft cap c · tanh(score / c) of the scores.
  var softCap: Double?
  /// What is added to the scores.
  var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)?

  /// Attention to `h`, the rows of a stream behind whatever norm comes first.
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    // Soft-max sees differences of scores only. A bias of the keys is the same in all of them but for its rotation, so
    // they are kept without what it is at position 0: some models' is a hundred times what tells keys apart, and would
    // take their last digits. Norms, cuts and soft caps do see it.
    let isUnseen = keyNorm == nil && clip == nil && softCap == nil
    let (projection, keyBias) = isUnseen ? projection.withoutKeyBias : (projection, nil)
    var (q, k, v) = projection(h)
    if let clip {
      let limit = S(clip)
      (q, k, v) = (q.clamped(to: limit), k.clamped(to: limit), v.clamped(to: limit))
    }
    if let queryNorm { q = queryNorm(q) }
    if let keyNorm { k = keyNorm(k) }
    if let rotary {
      q = context.rotate(queries: q, heads: heads, by: rotary, pairing: pairing)
      k = context.rotate(
        keys: k, heads: keyValueHeads, by: rotary, pairing: pairing,
        bias: keyBias?.map { S($0) })
    }
    return output(context.attend(queries: q, keys: k, values: v, settings: settings))
  }

  private var settings: AttentionSettings {
    let window = window ?? .max
    var settings = AttentionSettings(
      heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
      scale: scale ?? 1 / Double(headDimension).squareRoot(), softCap: softCap,
      visible: { query, _ in max(0, query - window + 1)..<query + 1 }, bias: bias)
    if !isCausal { settings.visible = { _, count in 0..<count } }
    return settings
  }
}

/// The projections to queries, keys and values.
enum QueryKeyValue: Sendable {
  case separate(query: LinearWeights, key: LinearWeights, value: LinearWeights)
  /// One matrix for all three, and where among its outputs each of them lies.
  case fused(LinearWeights, query: [Int], key: [Int], value: [Int])

  /// Fused, all queries before all keys before all values; as many keys as queries if not said otherwise.
  static func stacked(_ weights: LinearWeights, width: Int, keys: Int? = nil) -> QueryKeyValue {
    let keys = keys ?? width
    return .fused(
      weights, query: Array(0..<width), key: Array(width..<width + keys),
      value: Array(width + keys..<width + 2 * keys))
  }

  /// The same as three matrices, views of the one.
  static func parts(of fused: LinearWeights, queries: Int, keys: Int) -> QueryKeyValue {
    .separate(
      query: fused.outputs(0..<queries), key: fused.outputs(queries..<queries + keys),
      value: fused.outputs(queries + keys..<queries + 2 * keys))
  }

  /// Fused by groups of heads: a group's queries, then its key, then its value. GGUF stacks what is grouped elsewhere.
  static func grouped(
    _ weights: LinearWeights, heads: Int, keyValueHeads: Int, headDimension: Int,
    in format: ModelFile.Format
  ) -> QueryKeyValue {
    if format == .gguf {
      return stacked(weights, width: heads * headDimension, keys: keyValueHeads * headDimension)
    }
    let queries = heads / keyValueHeads
    let pick = { (part: Range<Int>) in
      (0..<keyValueHeads).flatMap { group in
        part.flatMap { head in
          let start = (group * (queries + 2) + head) * headDimension
          return start..<start + headDimension
        }
      }
    }
    return .fused(
      weights, query: pick(0..<queries), key: pick(queries..<queries + 1),
      value: pick(queries + 1..<queries + 2))
  }

  /// The same less the bias of the keys, and that bias.
  var withoutKeyBias: (QueryKeyValue, bias: [Float]?) {
    switch self {
    case .separate(let query, var key, let value):
      let bias = key.bias
      key.bias = nil
      return (.separate(query: query, key: key, value: value), bias)
    case .fused(var weights, let query, let key, let value):
      guard let all = weights.bias else { return (self, nil) }
      for i in key { weights.bias![i] = 0 }
      return (.fused(weights, query: query, key: key, value: value), key.map { all[$0] })
    }
  }

  /// Queries of the target rows, keys and values of the source rows.
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>
  ) -> (query: Variable<S>, key: Variable<S>, value: Variable<S>) {
    switch self {
    case .separate(let query, let key, let value):
      return (query(h.target), key(h.source), value(h.source))
    case .fused(let weights, let query, let key, let value):
      let all = h.map { weights($0) }
      return (
        all.target.columns(query), all.source.columns(key), all.source.columns(value)
      )
    }
  }
}

extension Variable {
  /// min(max(x, −limit), limit), number by number; the derivative at the limits is taken as 1.
  fileprivate func clamped(to limit: Scalar) -> Variable {
    map { abs($0) <= limit ? ($0, 1) : (min(max($0, -limit), limit), 0) }
  }
}
