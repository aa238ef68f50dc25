import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// Phi-3.5-MoE and Phi-mini-MoE: a block of Llama with LayerNorms and a mixture of two experts per token in place
  /// of the MLP, each weighted by its share of a soft-max over the experts whose logits are near its own.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z). Abdin et al., arXiv 2404.14219; Liu et al., arXiv
  /// 2409.12136.
  public static let phiMoE = FamilyDefinition(
    "phimoe", residual: ExpertMixture.residual, gguf: .phiMoE
  ) { try DecoderModel(phiMoE: $0) }
}

extension DecoderModel {
  fileprivate init(phiMoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        width: 4096, feedForwardWidth: 6400, keyValueHeads: 8, positions: 131_072, epsilon: 1e-5,
        theta: 1_000_000),
      rotary: .init(hasMagnitudes: file.format == .huggingFace))
    try s.requireLongrope(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    let window = try c.optionalSize("sliding_window")
    let count = try c.size("num_local_experts", "num_experts", default: 16)
    let chosen = try c.chosenExperts(of: count, default: 2)
    try c.checkSupported(chosen == 2, "num_experts_per_tok", "a token always chooses two experts")
    let tolerance = 2 * (try c.number("router_jitter_noise", default: 0.01))
    let headBias = try c.flag("lm_head_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    let norm = { (reader: DecoderReader, name: String) in
      try reader.weights.layerNorm(name, width: s.width, epsilon: s.epsilon)
    }
    try self.init(
      file, reader, norm: norm(reader, "model.norm"), headBias: headBias,
      note: ExpertMixture.note(chosen: chosen, of: count)
    ) { block, _ in
      try DecoderBlock(
        mixerNorm: norm(block, "input_layernorm"),
        mixer: block.attention(window: window),
        feedForwardNorm: norm(block, "post_attention_layernorm"),
        feedForward: ExpertMixture(
          router: block.mixtralRouter(count),
          routing: .init(.near(tolerance), chosen: 2),
          experts: block.experts(count, width: s.feedForwardWidth, block.mixtralExperts)))
    }
  }
}

extension GGUFDialect {
  /// The dialect. No key says how near an expert must be; the factor of cos and sin is llama.cpp's.
  fileprivate static let phiMoE = GGUFDialect(
    architecture: "phimoe",
    names: decoder(with: [
      "block_sparse_moe.gate": "ffn_gate_inp", "block_sparse_moe.experts.w1": "ffn_gate_exps",
      "block_sparse_moe.experts.w2": "ffn_down_exps", "block_sparse_moe.experts.w3": "ffn_up_exps",
    ]),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging(["sliding_window": ["attention.sliding_window"]]) { $1 },
    settings: { file in
      file.biases().merging(["lm_head_bias": .bool(file.contains("output.bias"))]) { $1 }
    })
}
