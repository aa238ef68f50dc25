import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Qwen1.5-MoE and Qwen2-57B-A14B: a block of Qwen2 with a mixture of experts in place of the MLP, and a shared MLP
  /// beside it that is multiplied by the logistic function of a gate. Some blocks may have no experts.
  ///
  /// Weights are the experts' shares of a soft-max over all of them, not divided by their sum unless the file says
  /// so.
  /// Yang et al., arXiv 2407.10671.
  public static let qwen2MoE = FamilyDefinition(
    "qwen2_moe",
    residual: "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z) + σ(gate(norm Z)) shared(norm Z), "
      + "Z = X + attention(norm X)",
    gguf: .qwen2MoE,
    initialisation: Initialisation(exceptions: { [("shared_expert_gate", .normal(deviation: $1))] })
  ) { try DecoderModel(qwen2MoE: $0) }
}

extension DecoderModel {
  fileprivate init(qwen2MoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 24, width: 2048, feedForwardWidth: 5632, heads: 16, keyValueHeads: 16,
        positions: 32768))
    s.attentionBias = try c.flag("qkv_bias", default: true)
    let last = try c.number("max_window_layers", default: 28)
    let isUsed = try c.flag("use_sliding_window", default: false)
    // 0 if it is not used.
    c.understand("sliding_window")
    let window = isUsed ? try c.nullableSize("sliding_window", absent: 4096) : nil
    let windows = try s.windows(c, window) { $0 % 2 == 0 && Double($0) < last }
    let (hasExperts, count) = (
      try c.qwenMixtures(), try c.size("num_experts", "num_local_experts", default: 60)
    )
    let inner = try c.size("moe_intermediate_size", default: 1408)
    let shared = try c.size("shared_expert_intermediate_size", default: 5632)
    let routing = try c.softmaxRouting(of: count, chosen: 4)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: windows(l), outputBias: false),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: hasExperts(l)
          ? block.sharedMixture(of: count, width: inner, routing, shared: shared) : block.mlp())
    }
  }
}

extension Configuration {
  /// The blocks with experts: every `decoder_sparse_step`-th except those in `mlp_only_layers`.
  func qwenMixtures() throws(ModelError) -> (Int) -> Bool {
    let step = try size("decoder_sparse_step", default: 1)
    let dense = Set(try optionalNumbers("mlp_only_layers") ?? [])
    return { !dense.contains(Double($0)) && ($0 + 1) % step == 0 }
  }
}

extension DecoderReader {
  /// Reads a mixture of `mlp.experts` with `mlp.shared_expert`, gated by `mlp.shared_expert_gate`.
  func sharedMixture(
    of count: Int, width inner: Int, _ routing: ExpertRouting, shared: Int
  ) throws -> ExpertMixture {
    var mixture = try mixture(of: count, width: inner, routing)
    mixture.shared = try mlp("mlp.shared_expert", width: shared)
    mixture.sharedGate = LinearWeights(
      weights: try weights.row("mlp.shared_expert_gate.weight", count: settings.width))
    return mixture
  }
}

extension GGUFDialect {
  fileprivate static let qwen2MoE = GGUFDialect(
    architecture: "qwen2moe",
    names: decoder(with: experts.merging(sharedExpert) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging([
      "shared_expert_intermediate_size": ["expert_shared_feed_forward_length"]
    ]) { $1 },
    settings: { $0.biases(attention: "qkv_bias") })

  /// The names of the shared expert and its gate.
  static let sharedExpert = [
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
  ]
}
