import Autodiff
import LinearAlgebra

/// A self-attention as stored, with its settings: h ↦ output(attend(queries h, keys h, values h)).
public struct AttentionWeights: Mixer {
  /// The number of query heads.
  public var heads: Int
  /// The number of key-value heads.
  public var keyValueHeads: Int
  /// The number of features of a head's queries and keys.
  public var headDimension: Int
  /// The number of features of a head's values; nil for `headDimension`.
  public var valueDimension: Int?
  /// The projection to queries, keys and values.
  public var projection: QueryKeyValue
  /// Whether each head's queries are followed by as many gate features, whose logistic function multiplies the head's
  /// result before the output projection.
  public var isGated: Bool
  /// The map back to the width of the stream.
  public var output: LinearWeights
  /// The factor of the scores; nil for headDimension^(−½).
  public var scale: Double?
  /// The limit ± at which queries, keys and values are clipped, after their norms; nil for none.
  public var clip: Double?
  /// The norm of queries.
  public var queryNorm: (any NormWeights)?
  /// The norm of keys.
  public var keyNorm: (any NormWeights)?
  /// The norm of values.
  public var valueNorm: (any NormWeights)?
  /// Whether the norms are applied after the rotation instead of before it.
  public var rotatesFirst: Bool
  /// The rotary embedding; nil for none.
  public var rotary: RotaryFrequencies?
  /// Which features of a head rotate together.
  public var pairing: RotaryPairing
  /// The factor of a token's queries as a function of its position; nil for none.
  public var temperature: (@Sendable (_ position: Int) -> Double)?
  /// Whether a token sees only itself and the tokens before it.
  public var isCausal: Bool
  /// The window: a token sees itself and the window − 1 tokens before it, and as many after it unless attention is
  /// causal.
  public var window: Int?
  /// The length of chunks: a token sees only those of its own chunk; nil for no chunks.
  public var chunk: Int?
  /// The c of the soft cap c · tanh(score / c) of the scores; nil for none.
  public var softCap: Double?
  /// The bias added to the scores; nil for none.
  public var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)?
  /// The logit of each head's sink; nil for no sinks.
  public var sinks: [Float]?
  /// The number of the first query head in the whole attention, if these are a part of its heads.
  var firstHead = 0
  /// The number of query heads that read one key-value head, if these are a part of the heads.
  var groupSize: Int?

  /// Creates an attention from its properties.
  public init(
    heads: Int, keyValueHeads: Int, headDimension: Int, valueDimension: Int? = nil,
    projection: QueryKeyValue, isGated: Bool = false, output: LinearWeights, scale: Double? = nil,
    clip: Double? = nil, queryNorm: (any NormWeights)? = nil, keyNorm: (any NormWeights)? = nil,
    valueNorm: (any NormWeights)? = nil,
    rotatesFirst: Bool = false, rotary: RotaryFrequencies? = nil, pairing: RotaryPairing = .split,
    temperature: (@Sendable (_ position: Int) -> Double)? = nil, isCausal: Bool = true,
    window: Int? = nil, chunk: Int? = nil, softCap: Double? = nil,
    bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)? = nil,
    sinks: [Float]? = nil
  ) {
    (self.heads, self.keyValueHeads) = (heads, keyValueHeads)
    (self.headDimension, self.valueDimension) = (headDimension, valueDimension)
    (self.projection, self.isGated, self.output) = (projection, isGated, output)
    (self.scale, self.clip) = (scale, clip)
    (self.queryNorm, self.keyNorm, self.valueNorm) = (queryNorm, keyNorm, valueNorm)
    self.rotatesFirst = rotatesFirst
    (self.rotary, self.pairing, self.temperature) = (rotary, pairing, temperature)
    (self.isCausal, self.window, self.chunk) = (isCausal, window, chunk)
    (self.softCap, self.bias, self.sinks) = (softCap, bias, sinks)
  }

  /// Attention over `h`, the rows of the stream after the norm, if any.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    // Soft-max depends only on differences of scores. A bias of the keys is the same in all of them except for its
    // rotation, so keys are stored without the bias as it is at position 0: in some models it is a hundred times
    // larger than the differences between keys and would cost their last digits. Norms, clipping, soft caps and sinks
    // do depend on it.
    let isUnseen = keyNorm == nil && clip == nil && settings.seesDifferencesOnly
    let (projection, keyBias) = isUnseen ? projection.withoutKeyBias : (projection, nil)
    var (q, k, v) = projection(h)
    var gate: Variable<S>?
    if isGated { (q, gate) = (q.gather(columns: parts(0)), q.gather(columns: parts(1))) }
    let normalize = {
      if let queryNorm { q = queryNorm(q) }
      if let keyNorm { k = keyNorm(k) }
    }
    if let valueNorm { v = valueNorm(v) }
    if !rotatesFirst { normalize() }
    if let clip {
      let limit = S(clip)
      (q, k, v) = (q.clamped(to: limit), k.clamped(to: limit), v.clamped(to: limit))
    }
    if let rotary {
      q = context.rotate(queries: q, heads: heads, by: rotary, pairing: pairing)
      k = context.rotate(
        keys: k, heads: keyValueHeads, by: rotary, pairing: pairing,
        bias: keyBias?.map { S($0) })
    }
    if rotatesFirst { normalize() }
    if let temperature {
      q = q.rows(scaledBy: context.targetPositions.map { S(temperature($0)) })
    }
    let y = context.attend(queries: q, keys: k, values: v, settings: settings)
    return output(gate.map { y * $0.activated(by: .logistic).asGate } ?? y)
  }

  /// The indices of the first or the second half of every head's features.
  private func parts(_ half: Int) -> [Int] {
    (0..<heads).flatMap { h in
      let start = (2 * h + half) * headDimension
      return start..<start + headDimension
    }
  }

  var settings: AttentionSettings {
    let (window, chunk) = (window ?? .max, chunk ?? .max)
    var settings = AttentionSettings(
      heads: heads, keyValueHeads: keyValueHeads, groupSize: groupSize, firstHead: firstHead,
      headDimension: headDimension, valueDimension: valueDimension,
      scale: scale ?? 1 / Double(headDimension).squareRoot(),
      softCap: softCap,
      visible: { query, _ in
        max(query / chunk * chunk, query - window + 1)..<query + 1
      },
      bias: bias, sinks: sinks?.map { Double($0) })
    if !isCausal {
      settings.visible = { query, count in
        max(0, query - window + 1)..<query + min(window, count - query)
      }
    }
    return settings
  }
}

extension Variable {
  /// The rows multiplied by one factor each.
  fileprivate func rows(scaledBy factors: [Scalar]) -> Variable {
    var i = -1
    return map { x in
      i += 1
      let factor = factors[i % rows]
      return (factor * x, factor)
    }
  }

  /// min(max(x, −limit), limit), element by element; the derivative at the limits is taken to be 1. As its own gate
  /// it is x · min(1, limit / |x|).
  fileprivate func clamped(to limit: Scalar) -> Variable {
    let isGate = rules.holdsGates
    return map { x in
      if abs(x) <= limit { return (x, 1) }
      return (min(max(x, -limit), limit), isGate ? limit / abs(x) : 0)
    }
  }
}
