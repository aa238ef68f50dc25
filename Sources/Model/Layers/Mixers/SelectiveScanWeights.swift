import Autodiff
import LinearAlgebra

/// The selective state space of Mamba as stored. Of h come a gate z and, through a convolution and φ, x, and of x come Δ, B
/// and C:
///
///     Δ = softplus(step(x)),  S_τ = exp(Δ_τ A) ∘ S_{τ−1} + Δ_τ x_τ B_τᵀ,  y_τ = S_τ C_τ + D ∘ x_τ,  output(y ∘ silu(z)),
///
/// every feature with a state, rates A and a step of its own, all with the same B and C. Gu, Dao, arXiv 2312.00752.
///
/// Where mixing weights are held, these are Δ, B and C, so that y is linear in x (the hidden attention of Ali, Zimerman,
/// Wolf, arXiv 2403.01590); where gates are, silu(z), and φ as its own gate.
public struct SelectiveScanWeights: Mixer {
  /// A head for each feature, with values of one feature, and the rates A = −exp(A_log).
  public var recurrence: RecurrenceSettings
  /// To x.
  public var input: LinearWeights
  /// To z.
  public var gate: LinearWeights
  /// The convolution of x.
  public var convolution: ConvolutionWeights
  /// φ.
  public var activation: Activation
  /// From x to what Δ is made of, one after another with B and C.
  public var selection: LinearWeights
  /// From that to Δ.
  public var step: LinearWeights
  /// D, for each feature.
  public var skip: [Float]
  /// Back to the width of the stream.
  public var output: LinearWeights

  /// A state space; its arguments are its properties.
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
