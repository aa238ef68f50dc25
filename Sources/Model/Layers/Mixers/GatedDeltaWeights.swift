import Autodiff
import LinearAlgebra

/// The gated delta rule as stored. Of h come a gate z, steps Δ, strengths β, and, through a convolution and φ, queries,
/// keys and values:
///
///     q = q / (‖q‖ √n),  k = k / ‖k‖,  S̃ = exp(softplus(Δ_τ + bias) A) S_{τ−1},
///     S_τ = S̃ + σ(β_τ) k_τ (v_τ − S̃ᵀ k_τ)ᵀ,  output(norm(S_τᵀ q_τ) ∘ silu(z)),
///
/// each head with a state and a rate A of its own, groups of heads with queries and keys of n features. The lengths of
/// queries and keys have ε = 10⁻⁶ under their root. Yang, Kautz, Hatamizadeh, arXiv 2412.06464.
///
/// Where mixing weights are held, these are q, k, Δ and β, so that S is linear in v; where gates are, silu(z), and φ as its
/// own gate.
public struct GatedDeltaWeights: Mixer {
  /// The maps from the width of the stream.
  public enum Projection: Sendable {
    /// Queries, keys and values one after another in one; z, Δ and β.
    case separate(
      mixed: LinearWeights, gate: LinearWeights, step: LinearWeights, strength: LinearWeights)
    /// Queries, keys, values and z in one, β and Δ in another, each by groups of heads.
    case grouped(LinearWeights, LinearWeights)
  }

  /// Heads of values, groups of heads, features of queries and keys and of values, and the rates A = −exp(A_log).
  public var recurrence: RecurrenceSettings
  /// The maps from the width of the stream.
  public var projection: Projection
  /// The convolution of queries, keys and values.
  public var convolution: ConvolutionWeights
  /// φ.
  public var activation: Activation
  /// What is added to Δ, for each head.
  public var stepBias: [Float]
  /// The norm of every head's result.
  public var norm: any NormWeights
  /// Back to the width of the stream.
  public var output: LinearWeights

  /// A gated delta rule; its arguments are its properties.
  public init(
    recurrence: RecurrenceSettings, projection: Projection, convolution: ConvolutionWeights,
    activation: Activation, stepBias: [Float], norm: any NormWeights, output: LinearWeights
  ) {
    (self.recurrence, self.projection, self.convolution) = (recurrence, projection, convolution)
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
    // x / √(Σ x² + ε) is RMSNorm with ε / n, by √n.
    let unit = { (x: Variable<S>, length: Double) in
      x.rmsNorm(
        gain: Array(repeating: S(length / Double(n).squareRoot()), count: n),
        epsilon: S(1e-6 / Double(n)), groups: r.groups)
    }
    let y = context.recur(
      RecurrenceInputs(
        queries: unit(mixed.columns(0..<keys), 1 / Double(n).squareRoot()),
        keys: unit(mixed.columns(keys..<2 * keys), 1),
        values: mixed.columns(2 * keys..<mixed.columns),
        steps: context.spread(parts.step, reach: reach).adding(stepBias.map { S($0) })
          .activated(by: .softplus),
        strengths: context.spread(parts.strength, reach: reach).activated(by: .logistic)),
      reach: reach, settings: r)
    return output(norm(y) * parts.gate.activated(by: .silu).asGate)
  }

  private struct Parts<S: RealScalar> {
    let mixed, gate, step, strength: Variable<S>
  }

  private func projected<S: RealScalar>(_ h: ResidualStream<S>) -> Parts<S> {
    switch projection {
    case .separate(let mixed, let gate, let step, let strength):
      return Parts(
        mixed: mixed(h.source), gate: gate(h.target), step: step(h.source),
        strength: strength(h.source))
    case .grouped(let all, let rates):
      let (outputs, b) = (h.map { all($0) }, rates(h.source))
      let (n, values) = (recurrence.keyDimension, recurrence.valueDimension)
      let heads = recurrence.heads / recurrence.groups
      // Of every group, the features in a range of its own.
      let pick = { (range: Range<Int>, size: Int) in
        (0..<recurrence.groups).flatMap { g in range.map { g * size + $0 } }
      }
      let (keys, size) = (2 * n, 2 * n + 2 * heads * values)
      let mixed =
        pick(0..<n, size) + pick(n..<keys, size) + pick(keys..<keys + heads * values, size)
      return Parts(
        mixed: outputs.source.gather(columns: mixed),
        gate: outputs.target.gather(columns: pick(keys + heads * values..<size, size)),
        step: b.gather(columns: pick(heads..<2 * heads, 2 * heads)),
        strength: b.gather(columns: pick(0..<heads, 2 * heads)))
    }
  }
}
