import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// GLM-4.5 and 4.6, including Air: a block of Llama, optionally with norms of queries and keys, in which half of a
  /// head rotates, and after the first blocks DeepSeek V3's mixture of experts in place of the MLP.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z) + shared(norm Z). GLM-4.5 Team, arXiv 2508.06471.
  public static let glm4MoE = FamilyDefinition(
    "glm4_moe", residual: ExpertMixture.sharedResidual, gguf: .glm4MoE,
    initialisation: Initialisation(exceptions: { _, _ in [Initialiser.uncorrected] })
  ) { try DecoderModel(glm4MoE: $0) }
}

extension DecoderModel {
  fileprivate init(glm4MoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 46, width: 4096, feedForwardWidth: 10944, heads: 96, keyValueHeads: 8,
        positions: 131_072, epsilon: 1e-5, rotatedShare: 0.5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let normsHeads = try c.flag("use_qk_norm", default: false)
    let count = try c.size("n_routed_experts", "num_local_experts", default: 128)
    let mixtures = try LeadingDenseMixtures(
      c, of: count, c.sigmoidRouting(of: count, .glm4), width: 1408, shared: 1, dense: 1)
    let file = try file.withoutFurtherBlocks(s.layers)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"), note: mixtures.note
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(outputBias: false, norms: normsHeads ? .each : nil),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: mixtures.feedForward(l, block))
    }
  }
}

extension GGUFDialect {
  /// The dialect. The number of blocks in a file includes those that predict further tokens.
  fileprivate static let glm4MoE = GGUFDialect(
    architecture: "glm4moe",
    names: decoder(
      with: headNorms.merging(experts) { $1 }.merging([
        "post_attention_layernorm": "post_attention_norm"
      ]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: expertKeys,
    settings: { file in
      file.biases().merging(file.blockCounts) { $1 }.merging([
        "use_qk_norm": .bool(file.contains("blk.0.attn_q_norm.weight")),
        "scoring_func": .string(
          [nil, 0, 2].contains(file.value("expert_gating_func")?.int) ? "sigmoid" : "softmax"),
        "expert_gating_func": .null,
      ]) { $1 }
    })
}
