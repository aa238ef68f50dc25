import Autodiff
import LinearAlgebra

/// A short causal convolution, separate for every feature, as stored.
public struct ConvolutionWeights: Sendable {
  /// K, the number of tokens under the kernel.
  public let width: Int
  /// The kernel (features, K); the last weight is for the token itself.
  public let kernel: [Float]
  /// The bias, one number per feature; nil for none.
  public let bias: [Float]?

  /// Creates a convolution from its properties.
  public init(width: Int, kernel: [Float], bias: [Float]? = nil) {
    (self.width, self.kernel, self.bias) = (width, kernel, bias)
  }

  /// The convolution in the precision of a program.
  func converted<S: RealScalar>(to _: S.Type) -> CausalConvolution<S> {
    CausalConvolution(width: width, weights: kernel.map { S($0) }, bias: bias?.map { S($0) })
  }
}

/// The state space of Mamba 2 as stored. From h are computed a gate z, steps Δ and, through a convolution and φ, x, B
/// and C:
///
///     Δ = clamp(softplus(Δ + bias)),  S_τ = exp(Δ_τ A) S_{τ−1} + B_τ (Δ_τ x_τ)ᵀ,  y_τ = S_τᵀ C_τ + D x_τ,
///     output(norm(y ∘ silu(z)))  or  output(norm(y) ∘ silu(z)),
///
/// where each head has its own state, rate A and step, and groups of heads share B and C. Dao, Gu, arXiv 2405.21060.
///
/// If mixing weights are held, these are Δ, B and C, so that y is linear in x; if gates are held, these are silu(z),
/// and φ as its own gate.
public struct StateSpaceWeights: Mixer {
  /// Heads, groups of heads, features of B and C (keys) and of a head's x (values), and the rates A = −exp(A_log).
  public var recurrence: RecurrenceSettings
  /// The map to z.
  public var gate: LinearWeights
  /// The map to x, B and C, each complete before the next.
  public var input: LinearWeights
  /// The map to Δ.
  public var step: LinearWeights
  /// The convolution of x, B and C.
  public var convolution: ConvolutionWeights
  /// The activation φ.
  public var activation: Activation
  /// The bias added to Δ, one number per head.
  public var stepBias: [Float]
  /// The limits that Δ is clamped to.
  public var stepLimits: ClosedRange<Double>
  /// D, one number per head.
  public var skip: [Float]
  /// The norm of all of y, or of equal parts of it; nil for none.
  public var norm: (any NormWeights)?
  /// Whether the norm comes before the gate.
  public var normsFirst: Bool
  /// The map back to the width of the stream.
  public var output: LinearWeights
  /// The factors of z, x, B, C and Δ as computed from h; nil for none.
  public var factors: [Double]?

  /// Creates a state space from its properties.
  public init(
    recurrence: RecurrenceSettings, gate: LinearWeights, input: LinearWeights,
    step: LinearWeights, convolution: ConvolutionWeights, activation: Activation,
    stepBias: [Float], stepLimits: ClosedRange<Double>, skip: [Float],
    norm: (any NormWeights)?, normsFirst: Bool = false, output: LinearWeights,
    factors: [Double]? = nil
  ) {
    (self.recurrence, self.gate, self.input) = (recurrence, gate, input)
    (self.step, self.convolution, self.activation) = (step, convolution, activation)
    (self.stepBias, self.stepLimits, self.skip) = (stepBias, stepLimits, skip)
    (self.norm, self.normsFirst, self.output) = (norm, normsFirst, output)
    self.factors = factors
  }

  /// The mixer's output at the targets.
  public func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let (r, reach) = (recurrence, convolution.width)
    let (features, keys) = (r.heads * r.valueDimension, r.groups * r.keyDimension)
    var (z, inputs, steps) = (gate(h.target), input(h.source), step(h.source))
    if let factors {
      let of = { (part: Int, count: Int) in Array(repeating: S(factors[part]), count: count) }
      (z, steps) = (S(factors[0]) * z, S(factors[4]) * steps)
      inputs = inputs.scaled(by: of(1, features) + of(2, keys) + of(3, keys))
    }
    let mixed = context.convolve(inputs, by: convolution.converted(to: S.self))
      .activated(by: activation)
    let x = mixed.columns(0..<features)
    steps =
      context.spread(steps, reach: reach)
      .adding(stepBias.map { S($0) }).activated(by: .softplus).clamped(to: stepLimits)
      .asMixingWeight
    let heads = (0..<features).map { $0 / r.valueDimension }
    var y = context.recur(
      RecurrenceInputs(
        queries: mixed.columns(features + keys..<features + 2 * keys),
        keys: mixed.columns(features..<features + keys),
        values: x * steps.gather(columns: heads), steps: steps),
      reach: reach, settings: r)
    y = y + context.atTargets(x, reach: reach).scaled(by: heads.map { S(skip[$0]) })
    let open = z.activated(by: .silu).asGate
    guard let norm else { return output(y * open) }
    return output(normsFirst ? norm(y) * open : norm(y * open))
  }
}

extension Variable {
  /// The numbers clamped to `limits`; outside of them the derivative is 0.
  fileprivate func clamped(to limits: ClosedRange<Double>) -> Variable {
    guard limits.lowerBound > 0 || limits.upperBound < .infinity else { return self }
    let (low, high) = (Scalar(limits.lowerBound), Scalar(limits.upperBound))
    return map { $0 < low ? (low, 0) : $0 > high ? (high, 0) : ($0, 1) }
  }
}
