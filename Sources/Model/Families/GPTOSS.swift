import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// gpt-oss: a block of Llama with attention biases, one sink per head, a window in every second block, and a
  /// mixture of experts with clamped gate and up in place of the MLP.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z), w the soft-max of the router over the experts a token
  /// chooses. OpenAI, arXiv 2508.10925.
  public static let gptOSS = FamilyDefinition(
    "gpt_oss", residual: ExpertMixture.residual, gguf: .gptOSS,
    initialisation: Initialisation(exceptions: {
      [
        // In GGUF the router has the name used by other families.
        ("proj_bias", .constant(0)), ("mlp.router.bias", .normal(deviation: $1)),
        ("mlp.gate.bias", .normal(deviation: $1)),
        ("self_attn.sinks", .normal(deviation: $1)),
      ]
    })
  ) { try DecoderModel(gptOSS: $0) }
}

extension DecoderModel {
  fileprivate init(gptOSS file: ModelFile) throws {
    let c = file.configuration
    // llama.cpp does not record that the ends of YaRN's ramp are not rounded.
    let isGGUF = file.format == .gguf
    var s = try DecoderSettings(
      c,
      .init(
        layers: 36, width: 2880, feedForwardWidth: 2880, heads: 64, keyValueHeads: 8,
        headDimension: 64, positions: 131_072, epsilon: 1e-5, theta: 150_000),
      rotary: .init(absent: isGGUF ? .none : .gptOSS, truncates: !isGGUF))
    s.attentionBias = try c.flag("attention_bias", default: true)
    let window = try c.nullableSize("sliding_window", absent: 128)
    let windows = try s.windows(c, window) { $0 % 2 == 0 }
    let count = try c.size("num_local_experts", "num_experts", default: 128)
    let chosen = try c.chosenExperts(of: count, default: 4)
    let gating = MLPWeights.Gating.clamped(
      slope: try c.number("swiglu_alpha", default: 1.702),
      limit: try c.positive("swiglu_limit", default: 7))
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    let layout = ExpertLayout(isTransposed: true, alternates: true, bias: true)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: ExpertMixture.note(chosen: chosen, of: count)
    ) { block, l in
      var attention = try block.attention(window: windows(l))
      attention.sinks = try block.weights.vector("self_attn.sinks", count: s.heads)
      let router = try block.weights.linear(
        "mlp.router", outputs: count, inputs: s.width, bias: true)
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: ExpertMixture(
          router: router, routing: .init(chosen: chosen),
          experts: block.experts(count, width: s.feedForwardWidth, layout, gating: gating)))
    }
  }
}

extension RotaryFrequencies.Scaling {
  /// The scaling of a configuration without rotary parameters.
  fileprivate static let gptOSS = RotaryFrequencies.Scaling.yarn(
    factor: 32, fast: 32, slow: 1, trained: 4096, scale: 0.1 * Double.log(32) + 1, truncate: false)
}

extension GGUFDialect {
  fileprivate static let gptOSS = GGUFDialect(
    architecture: "gpt-oss",
    names: decoder(
      with: experts.merging([
        "post_attention_layernorm": "post_attention_norm", "self_attn.sinks": "attn_sinks",
        "mlp.router": "ffn_gate_inp",
      ]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging([
      "intermediate_size": ["expert_feed_forward_length", "feed_forward_length"],
      "sliding_window": ["attention.sliding_window"],
    ]) { $1 },
    settings: { $0.biases() })
}
