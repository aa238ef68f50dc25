import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// DeepSeek V2, V2.5 and V2-Lite: latent attention and, after the first blocks, a mixture of experts with a shared
  /// one in place of the MLP.
  ///
  /// Weights are shares of a soft-max over all experts, times a factor; if there are groups of experts, those with
  /// the best expert are chosen first. DeepSeek-AI, arXiv 2405.04434.
  public static let deepSeekV2 = FamilyDefinition(
    "deepseek_v2", residual: ExpertMixture.sharedResidual, gguf: .deepSeek { !$0.isSigmoid }
  ) { try DecoderModel(deepSeek: $0, .v2) }

  /// DeepSeek V3, V3.1 and R1: V2 with logistic functions of the logits as scores, a correction that affects only the
  /// choice, and groups ranked by the sum of their two best experts. DeepSeek-AI, arXiv 2412.19437.
  public static let deepSeekV3 = FamilyDefinition(
    "deepseek_v3", residual: ExpertMixture.sharedResidual, gguf: .deepSeek { $0.isSigmoid },
    initialisation: Initialisation(exceptions: { _, _ in [Initialiser.uncorrected] })
  ) { try DecoderModel(deepSeek: $0, .v3) }
}

private enum Version { case v2, v3 }

extension DecoderModel {
  fileprivate init(deepSeek file: ModelFile, _ version: Version) throws {
    let (c, isV3) = (file.configuration, version == .v3)
    let heads = try c.size("num_attention_heads", default: isV3 ? 128 : 32)
    let sizes = try LatentSizes(c, heads: heads)
    if file.format == .huggingFace, isV3, let size = try c.optionalSize("head_dim") {
      try c.check(size == sizes.rotated, "head_dim", "is not qk_rope_head_dim")
    }
    var s = try DecoderSettings(
      c,
      isV3
        ? .init(layers: 61, width: 7168, feedForwardWidth: 18432, heads: 128, positions: 4096)
        : .init(),
      headDimension: sizes.rotated)
    // Neighbours always rotate together in V2 and in GGUF.
    s.pairing = try isV3 && !c.nullableFlag("rope_interleave", absent: true) ? .split : .interleaved
    s.attentionBias = try c.flag("attention_bias", default: false)
    if !isV3 { s.mlpBias = try c.flag("mlp_bias", default: false) }
    let count = try c.size(
      "n_routed_experts", "num_local_experts", "num_experts", default: isV3 ? 256 : 64)
    let routing = try isV3 ? c.sigmoidRouting(of: count, .deepSeekV3) : c.groupedRouting(of: count)
    let mixtures = try LeadingDenseMixtures(
      c, of: count, routing, width: isV3 ? 2048 : 1407, shared: isV3 ? 1 : 2, dense: isV3 ? 3 : 0)
    try c.checkSupported(
      c.number("moe_layer_freq", default: 1) == 1, "moe_layer_freq", "every block has experts")
    let file = isV3 ? try file.withoutFurtherBlocks(s.layers) : file
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"), note: mixtures.note
    ) { block, l in
      var latent = try block.latentAttention(sizes)
      latent.pairing = s.pairing
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: latent,
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: try mixtures.feedForward(l, block))
    }
  }
}

extension Configuration {
  /// V2's routing: shares of a soft-max, within the groups with the best experts.
  fileprivate func groupedRouting(of count: Int) throws(ModelError) -> ExpertRouting {
    let method = try text("topk_method", default: "greedy")
    try checkSupported(
      ["greedy", "group_limited_greedy"].contains(method), "topk_method",
      "supported are greedy and group_limited_greedy")
    try checkSupported(
      try text("scoring_func", default: "softmax") == "softmax", "scoring_func",
      "this family's scores are a soft-max")
    for key in ["norm_topk_prob", "n_group", "topk_group"] { understand(key) }
    var routing = ExpertRouting(
      chosen: try chosenExperts(of: count, default: nil), isNormalised: false,
      factor: try number("routed_scaling_factor", default: 1))
    if method == "group_limited_greedy" {
      routing.groups = try expertGroups(of: count, chosen: routing.chosen, best: 1)
    }
    return routing
  }
}

extension GGUFMetadata {
  /// Whether scores are logistic, given by the value 2; files older than the key are of V2.
  fileprivate var isSigmoid: Bool { value("expert_gating_func")?.int == 2 }
}

extension GGUFDialect {
  /// The dialect of both. Files contain the sizes of the single head that a head's keys and values become if they are
  /// left in low rank, and beside them the heads' own sizes; older files contain only the latter.
  fileprivate static func deepSeek(
    claims: @escaping @Sendable (GGUFMetadata) -> Bool
  ) -> GGUFDialect {
    GGUFDialect(
      architecture: "deepseek2",
      names: decoder(
        with: experts.merging([
          "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm",
          "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
          "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.kv_b_proj": "attn_kv_b",
          "self_attn.k_b_proj": "attn_k_b", "self_attn.v_b_proj": "attn_v_b",
        ]) { $1 }),
      epsilon: "attention.layer_norm_rms_epsilon",
      keys: expertKeys.merging([
        "num_key_value_heads": ["attention.head_count"],
        "qk_rope_head_dim": ["rope.dimension_count"],
        "v_head_dim": ["attention.value_length_mla", "attention.value_length"],
        "kv_lora_rank": ["attention.kv_lora_rank"],
      ]) { $1 },
      pairing: .interleaved, hasOwnValueLength: true, claims: claims,
      settings: { file in
        let size = file.size("attention.key_length_mla") ?? file.size("attention.key_length")
        let plain = size.flatMap { size in
          file.size("rope.dimension_count").map { max(size - $0, 0) }
        }
        let isGrouped = (file.size("expert_group_count") ?? 1) > 1
        var settings: [String: JSONValue] = [
          "qk_nope_head_dim": plain.map { .number(.integer($0)) } ?? .null,
          "rope.dimension_count": file.value("rope.dimension_count") ?? .null,
          "q_lora_rank": file.value("attention.q_lora_rank") ?? .null,
          "attention.q_lora_rank": .null, "expert_gating_func": .null,
          "topk_method": file.isSigmoid
            ? .null : .string(isGrouped ? "group_limited_greedy" : "greedy"),
          "norm_topk_prob": file.value("expert_weights_norm") ?? .bool(false),
          "first_k_dense_replace": file.value("leading_dense_block_count")
            ?? .number(.integer(0)),
          "num_nextn_predict_layers": .number(.integer(0)),
        ]
        // The m of cos and sin is assumed to be that of the scores, of which files contain a tenth.
        let yarn = "rope.scaling."
        if file.value(yarn + "type")?.string == "yarn" {
          let m = file.value(yarn + "yarn_log_multiplier")?.double.map {
            JSONValue.number(.real(10 * $0))
          }
          settings["rope_scaling"] = .members(
            ("rope_type", .string("yarn")), ("factor", file.value(yarn + "factor")),
            ("beta_fast", file.value(yarn + "yarn_beta_fast")),
            ("beta_slow", file.value(yarn + "yarn_beta_slow")), ("mscale", m),
            ("mscale_all_dim", m))
        }
        return settings
      })
  }
}
