import Autodiff
import LinearAlgebra

/// The selective state space of Mamba as stored. From h are computed a gate z and, through a convolution and φ, x;
/// from x are computed Δ, B and C:
///
///     Δ = softplus(step(x)),  S_τ = exp(Δ_τ A) ∘ S_{τ−1} + Δ_τ x_τ B_τᵀ,  y_τ = S_τ C_τ + D ∘ x_τ,  output(y ∘ silu(z)),
///
/// where every feature has its own state, rates A and step, and all share B and C. Gu, Dao, arXiv 2312.00752.
///
/// If mixing weights are held, these are Δ, B and C, so that y is linear in x (the hidden attention of Ali, Zimerman,
/// Wolf, arXiv 2403.01590); if gates are held, these are silu(z), and φ as its own gate.
public struct SelectiveScanWeights: Mixer {
  /// One head per feature, with values of one feature, and the rates A = −exp(A_log).
  public var recurrence: RecurrenceSettings
  /// The map to x.
  public var input: LinearWeights
  /// The map to z.
  public var gate: LinearWeights
  /// The convolution of x.
  public var convolution: ConvolutionWeights
  /// The activation φ.
  public var activation: Activation
  /// The map from x to the features that Δ is computed from, followed by B and C.
  public var selection: LinearWeights
  /// The map from those features to Δ.
  public var step: LinearWeights
  /// D, one number per feature.
  public var skip: [Float]
  /// The map back to the width of the stream.
  public var output: LinearWeights

  /// Creates a state space from its properties.
  public init(
    recurrence: RecurrenceSettings, input: LinearWeights, gate: LinearWeights,
    convolution: ConvolutionWeights, activation: Activation, selection: LinearWeights,
    step: LinearWeights, skip: [Float], output: LinearWeights
  ) {
    (self.recurrence, self.input, self.gate) = (recurrence, input, gate)
    (self.convolution, self.activation) = (convolution, activation)
    (self.selection, self.step, self.skip, self.output) = (selection, step, skip, output)
  }

  /// The mixer's output at the targets.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let (n, reach) = (recurrence.keyDimension, convolution.width)
    let x = context.convolve(input(h.source), by: convolution.converted(to: S.self))
      .activated(by: activation)
    let selected = selection(x)
    let rank = selected.columns - 2 * n
    let steps = step(selected.columns(0..<rank)).activated(by: .softplus)
      .asMixingWeight
    let y = context.recur(
      RecurrenceInputs(
        queries: selected.columns(rank + n..<rank + 2 * n),
        keys: selected.columns(rank..<rank + n), values: x * steps, steps: steps),
      reach: reach, settings: recurrence)
    let skipped = context.atTargets(x, reach: reach).scaled(by: skip.map { S($0) })
    return output((y + skipped) * gate(h.target).activated(by: .silu).asGate)
  }
}
