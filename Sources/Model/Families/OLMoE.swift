import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// OLMoE: a block of Llama with a mixture of experts in place of the MLP, RMSNorms over all queries and all keys of
  /// a token and, optionally, clipping of queries, keys and values after them.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z), where w is the soft-max over all experts.
  /// Muennighoff et al., arXiv 2409.02060.
  public static let olmoe = FamilyDefinition(
    "olmoe", residual: ExpertMixture.residual, gguf: .olmoe,
    initialisation: Initialisation(paddingToken: 1)
  ) { try DecoderModel(olmoe: $0) }
}

extension DecoderModel {
  fileprivate init(olmoe file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 16, width: 2048, feedForwardWidth: 2048, heads: 16, positions: 4096, epsilon: 1e-5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let clip = try c.nullablePositive("clip_qkv", absent: nil)
    let count = try c.size("num_experts", "num_local_experts", default: 64)
    let routing = try c.softmaxRouting(of: count, chosen: 8)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "queries and keys are normalised as well; "
        + ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, _ in
      var attention = try block.attention(norms: .all)
      attention.clip = clip
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mixture(of: count, width: s.feedForwardWidth, routing))
    }
  }
}

extension GGUFDialect {
  fileprivate static let olmoe = GGUFDialect(
    architecture: "olmoe", names: decoder(with: headNorms.merging(experts) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: expertKeys, settings: { $0.biases() })
}
