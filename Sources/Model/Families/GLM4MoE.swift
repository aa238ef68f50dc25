import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// GLM-4.5, 4.6 and their Air: a block of Llama with norms of queries and keys where the file says so, half of a head
  /// rotating, and after the first blocks DeepSeek V3's mixture of experts in the place of the MLP.
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
    let inner = try c.size("moe_intermediate_size", default: 1408)
    let shared = try c.count("n_shared_experts", default: 1) * inner
    let dense = try c.count("first_k_dense_replace", default: 1)
    let routing = try c.sigmoidRouting(of: count, .glm4)
    let file = try file.withoutFurtherBlocks(s.layers)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, l in
      var attention = try block.attention(outputBias: false)
      if normsHeads {
        attention.queryNorm = try block.norm("self_attn.q_norm", count: s.headDimension)
        attention.keyNorm = try block.norm("self_attn.k_norm", count: s.headDimension)
      }
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: l < dense
          ? try block.mlp()
          : try block.correctedMixture(of: count, width: inner, routing, shared: shared))
    }
  }
}

extension GGUFDialect {
  /// A file's blocks include those that predict further tokens.
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
