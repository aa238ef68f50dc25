import Autodiff
import LinearAlgebra

/// A self-attention as stored, and what kind it is: h ↦ output(attend(queries h, keys h, values h)).
public struct AttentionWeights: Mixer {
  /// Query heads.
  public var heads: Int
  /// Heads of keys and values.
  public var keyValueHeads: Int
  /// Features of a head's queries and keys.
  public var headDimension: Int
  /// Features of a head's values; as many if nil.
  public var valueDimension: Int?
  /// To queries, keys and values.
  public var projection: QueryKeyValue
  /// Whether each head's queries are followed by as many features of a gate: its result is multiplied by their logistic
  /// function before it goes to the output.
  public var isGated: Bool
  /// Back to the width of the stream.
  public var output: LinearWeights
  /// Factor of the scores; headDimension^(−½) if nil.
  public var scale: Double?
  /// Queries, keys and values beyond ± this number are cut off there, after their norms.
  public var clip: Double?
  /// The norm of queries.
  public var queryNorm: (any NormWeights)?
  /// The norm of keys.
  public var keyNorm: (any NormWeights)?
  /// The norm of values.
  public var valueNorm: (any NormWeights)?
  /// Whether the norms come after the rotation instead of before it.
  public var rotatesFirst: Bool
  /// The rotation by positions, if any.
  public var rotary: RotaryFrequencies?
  /// Which features of a head rotate together.
  public var pairing: RotaryPairing
  /// Factor of a token's queries by its position, if they have one.
  public var temperature: (@Sendable (_ position: Int) -> Double)?
  /// Whether a token sees only those before it and itself.
  public var isCausal: Bool
  /// A token sees itself and the window − 1 before it, and as many after it unless attention is causal.
  public var window: Int?
  /// A token sees those of its own chunk of so many tokens.
  public var chunk: Int?
  /// c of the soft cap c · tanh(score / c) of the scores.
  public var softCap: Double?
  /// What is added to the scores.
  public var bias: (@Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double)?
  /// The logit of each head's sink, which joins its soft-max, if there are sinks.
  public var sinks: [Float]?

  /// An attention; its arguments are its properties.
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

  /// Attention to `h`, the rows of a stream after whatever norm comes first.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    // Soft-max sees differences of scores only. A bias of the keys is the same in all of them but for its rotation, so
    // they are kept without what it is at position 0: some models' is a hundred times what tells keys apart, and would
    // take their last digits. Norms, cuts, soft caps and sinks do see it.
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

  /// The first or the second half of every head's features.
  private func parts(_ half: Int) -> [Int] {
    (0..<heads).flatMap { h in
      let start = (2 * h + half) * headDimension
      return start..<start + headDimension
    }
  }

  var settings: AttentionSettings {
    let (window, chunk) = (window ?? .max, chunk ?? .max)
    var settings = AttentionSettings(
      heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
      valueDimension: valueDimension, scale: scale ?? 1 / Double(headDimension).squareRoot(),
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
  /// Every row times a number of its own.
  fileprivate func rows(scaledBy factors: [Scalar]) -> Variable {
    var i = -1
    return map { x in
      i += 1
      let factor = factors[i % rows]
      return (factor * x, factor)
    }
  }

  /// min(max(x, −limit), limit), number by number; the derivative at the limits is taken as 1. As a gate of its own it is
  /// x · min(1, limit / |x|).
  fileprivate func clamped(to limit: Scalar) -> Variable {
    let isGate = rules.holdsGates
    return map { x in
      if abs(x) <= limit { return (x, 1) }
      return (min(max(x, -limit), limit), isGate ? limit / abs(x) : 0)
    }
  }
}
