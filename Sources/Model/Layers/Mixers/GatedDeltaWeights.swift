import Autodiff
import LinearAlgebra

/// The gated delta rule as stored. From h are computed a gate z, steps Δ, strengths β and, through a convolution and
/// φ, queries, keys and values:
///
///     q = q / (‖q‖ √n),  k = k / ‖k‖,  S̃ = exp(softplus(Δ_τ + bias) A) S_{τ−1},
///     S_τ = S̃ + σ(β_τ) k_τ (v_τ − S̃ᵀ k_τ)ᵀ,  output(norm(S_τᵀ q_τ) ∘ silu(z)),
///
/// where each head has its own state and rate A, and groups of heads share queries and keys of n features. The square
/// roots in the lengths of queries and keys contain ε = 10⁻⁶. Yang, Kautz, Hatamizadeh, arXiv 2412.06464.
///
/// If mixing weights are held, these are q, k, Δ and β, so that S is linear in v; if gates are held, these are
/// silu(z), and φ as its own gate.
public struct GatedDeltaWeights: Mixer {
  /// The maps from the width of the stream to queries, keys, values and z.
  public enum Features: Sendable {
    /// One map to all queries, then all keys, then all values, and one to z.
    case separate(mixed: LinearWeights, gate: LinearWeights)
    /// One map to all of them, stored by groups of heads.
    case grouped(LinearWeights)
  }

  /// The maps from the width of the stream to Δ and β.
  public enum Rates: Sendable {
    /// One map to Δ and one to β.
    case separate(step: LinearWeights, strength: LinearWeights)
    /// One map to β and Δ, stored by groups of heads.
    case grouped(LinearWeights)
  }

  /// Value heads, groups of heads, features of keys and of values, and the rates A = −exp(A_log).
  public var recurrence: RecurrenceSettings
  /// The maps to queries, keys, values and z.
  public var features: Features
  /// The maps to Δ and β.
  public var rates: Rates
  /// The order of the heads in values, z, Δ, β and the input of the output map.
  public var order: HeadOrder
  /// The convolution of queries, keys and values.
  public var convolution: ConvolutionWeights
  /// The activation φ.
  public var activation: Activation
  /// The bias added to Δ, one number per head, by groups.
  public var stepBias: [Float]
  /// The norm of every head's result.
  public var norm: any NormWeights
  /// The map back to the width of the stream.
  public var output: LinearWeights

  /// Creates a gated delta rule from its properties.
  public init(
    recurrence: RecurrenceSettings, features: Features, rates: Rates, order: HeadOrder,
    convolution: ConvolutionWeights, activation: Activation, stepBias: [Float],
    norm: any NormWeights, output: LinearWeights
  ) {
    (self.recurrence, self.features, self.rates) = (recurrence, features, rates)
    (self.order, self.convolution) = (order, convolution)
    (self.activation, self.stepBias) = (activation, stepBias)
    (self.norm, self.output) = (norm, output)
  }

  /// The mixer's output at the targets.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let (r, reach) = (recurrence, convolution.width)
    let parts = projected(h)
    let mixed = context.convolve(parts.mixed, by: convolution.converted(to: S.self))
      .activated(by: activation)
    let (n, keys) = (r.keyDimension, r.groups * r.keyDimension)
    // x / √(Σ x² + ε) is an RMSNorm with ε / n, divided by √n.
    let unit = { (x: Variable<S>, length: Double) in
      x.rmsNorm(
        gain: Array(repeating: S(length / Double(n).squareRoot()), count: n),
        epsilon: S(1e-6 / Double(n)), groups: r.groups)
    }
    let y = context.recur(
      RecurrenceInputs(
        queries: unit(mixed.columns(0..<keys), 1 / Double(n).squareRoot()),
        keys: unit(mixed.columns(keys..<2 * keys), 1),
        values: order.byGroups(mixed.columns(2 * keys..<mixed.columns)),
        steps: context.spread(parts.step, reach: reach).adding(stepBias.map { S($0) })
          .activated(by: .softplus),
        strengths: context.spread(parts.strength, reach: reach).activated(by: .logistic)),
      reach: reach, settings: r)
    return output(norm(order.asStored(y)) * parts.gate.activated(by: .silu).asGate)
  }

  private struct Parts<S: RealScalar> {
    let mixed, gate, step, strength: Variable<S>
  }

  private func projected<S: RealScalar>(_ h: ResidualStream<S>) -> Parts<S> {
    let (n, values) = (recurrence.keyDimension, recurrence.valueDimension)
    let heads = recurrence.heads / recurrence.groups
    // From every group, the features in the group's `range`.
    let pick = { (range: Range<Int>, size: Int) in
      (0..<recurrence.groups).flatMap { g in range.map { g * size + $0 } }
    }
    let mixed, gate: Variable<S>
    switch features {
    case .separate(let both, let z): (mixed, gate) = (both(h.source), z(h.target))
    case .grouped(let all):
      let (keys, size) = (2 * n, 2 * n + 2 * heads * values)
      let outputs = h.map { all($0) }
      mixed = outputs.source.gather(
        columns: pick(0..<n, size) + pick(n..<keys, size)
          + pick(keys..<keys + heads * values, size))
      gate = outputs.target.gather(columns: pick(keys + heads * values..<size, size))
    }
    switch rates {
    case .separate(let step, let strength):
      return Parts(
        mixed: mixed, gate: gate, step: order.byGroups(step(h.source)),
        strength: order.byGroups(strength(h.source)))
    case .grouped(let both):
      let b = both(h.source)
      return Parts(
        mixed: mixed, gate: gate, step: b.gather(columns: pick(heads..<2 * heads, 2 * heads)),
        strength: b.gather(columns: pick(0..<heads, 2 * heads)))
    }
  }
}

/// The order in which the heads of a recurrence are stored: group by group or, as in some files of llama.cpp, in
/// turns, one head of every group before the next of each.
public struct HeadOrder: Sendable {
  /// The stored index of each head, with heads numbered by groups; nil if they are stored in that order.
  private let places: [Int]?

  /// Creates an order; `takesTurns` if neighbouring heads belong to different groups.
  public init(heads: Int, groups: Int, takesTurns: Bool) {
    let members = heads / groups
    places = takesTurns ? (0..<heads).map { $0 % members * groups + $0 / members } : nil
  }

  /// Stored numbers, one per head, reordered group by group.
  func byGroups<T>(_ stored: [T]) -> [T] { places.map { $0.map { stored[$0] } } ?? stored }

  /// The stored features of all heads, reordered group by group.
  func byGroups<S>(_ stored: Variable<S>) -> Variable<S> {
    guard let places else { return stored }
    return stored.gather(columns: Self.features(of: places, stored.columns))
  }

  /// The features of all heads, given group by group, in the stored order.
  func asStored<S>(_ features: Variable<S>) -> Variable<S> {
    guard let places else { return features }
    var heads = places
    for (head, place) in places.enumerated() { heads[place] = head }
    return features.gather(columns: Self.features(of: heads, features.columns))
  }

  private static func features(of heads: [Int], _ count: Int) -> [Int] {
    let size = count / heads.count
    return heads.flatMap { $0 * size..<($0 + 1) * size }
  }
}
