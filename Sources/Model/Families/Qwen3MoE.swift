import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Qwen3-30B-A3B, Qwen3-235B-A22B and Qwen3-Coder: a block of Qwen3 with a mixture of experts in place of the MLP,
  /// where w is the soft-max of the router over all experts, or over the chosen ones if the file says so. Some blocks
  /// may have no experts.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z). Yang et al., arXiv 2505.09388.
  public static let qwen3MoE = FamilyDefinition(
    "qwen3_moe", residual: ExpertMixture.residual, gguf: .qwen3MoE
  ) { try DecoderModel(qwen3MoE: $0) }
}

extension DecoderModel {
  fileprivate init(qwen3MoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 24, width: 2048, feedForwardWidth: 6144, heads: 32, keyValueHeads: 4,
        positions: 32768))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let window = try c.nullableSize("sliding_window", absent: 4096)
    let isUsed = try c.flag("use_sliding_window", default: false)
    let (hasExperts, count) = (
      try c.qwenMixtures(), try c.size("num_experts", "num_local_experts", default: 128)
    )
    let inner = try c.size("moe_intermediate_size", default: 768)
    let routing = try c.softmaxRouting(of: count, chosen: 8)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "queries and keys are normalised as well; "
        + ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: isUsed ? window : nil, norms: .each),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: hasExperts(l)
          ? block.mixture(of: count, width: inner, routing) : block.mlp())
    }
  }
}

extension GGUFDialect {
  /// The dialect. llama.cpp always divides the weights by their sum, and has experts in every block.
  fileprivate static let qwen3MoE = GGUFDialect(
    architecture: "qwen3moe", names: decoder(with: headNorms.merging(experts) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: expertKeys,
    settings: { $0.biases().merging(["norm_topk_prob": .bool(true)]) { $1 } })
}
