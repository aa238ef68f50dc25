import Checkpoint
import Files

extension GGUFDialect {
  /// The dialect. For blocks that see all tokens, the file has the head size and, in place of the rotated share, the
  /// divisors of the frequencies; for blocks with a window, the head size has keys of its own.
  static let gemma4 = GGUFDialect(
    architecture: "gemma4",
    names: [
      "model.embed_tokens_per_layer": "per_layer_token_embd",
      "model.per_layer_model_projection": "per_layer_model_proj",
      "model.per_layer_projection_norm": "per_layer_proj_norm",
    ].merging(
      decoder(
        with: gemmaNorms.merging(headNorms) { $1 }.merging([
          "layer_scalar": "layer_output_scale", "per_layer_input_gate": "inp_gate",
          "per_layer_projection": "proj", "post_per_layer_input_norm": "post_norm",
          "router.proj": "ffn_gate_inp", "router.scale": "ffn_gate_inp.scale",
          "router.per_expert_scale": "ffn_down_exps.scale",
          "experts.gate_up_proj": "ffn_gate_up_exps", "experts.gate_proj": "ffn_gate_exps",
          "experts.up_proj": "ffn_up_exps", "experts.down_proj": "ffn_down_exps",
          "pre_feedforward_layernorm_2": "pre_ffw_norm_2",
          "post_feedforward_layernorm_1": "post_ffw_norm_1",
          "post_feedforward_layernorm_2": "post_ffw_norm_2",
        ]) { $1 })
    ) { $1 },
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging(windowKeys) { $1 }.merging([
      "head_dim": ["attention.key_length_swa"], "top_k_experts": ["expert_used_count"],
      "num_kv_shared_layers": ["attention.shared_kv_layers"],
      "hidden_size_per_layer_input": ["embedding_length_per_layer_input"],
      // In blocks with a window, all of a head rotates.
      "partial_rotary_factor": ["rope.dimension_count_swa"],
    ]) { $1 },
    required: essential + [
      "attention.key_length", "attention.key_length_swa", "attention.sliding_window",
      "attention.sliding_window_pattern", "embedding_length_per_layer_input",
    ],
    settings: { $0.gemma4Settings })
}

extension GGUFMetadata {
  fileprivate var gemma4Settings: [String: JSONValue] {
    let blocks = min(size("block_count") ?? 0, 1 << 12)
    let kinds = layerKinds(period: 6)["layer_types"] ?? .null
    let isFull = { (l: Int) in
      l == blocks - 1
        || kinds.array.map { l < $0.count && $0[l].string == "full_attention" } == true
    }
    let groups = value("attention.head_count_kv")
    let layers = (0..<blocks).map { l in
      let size = value(isFull(l) ? "attention.key_length" : "attention.key_length_swa")
      let keys = groups?.array.map { l < $0.count ? $0[l] : .null } ?? groups
      return ("\(l)", JSONValue.members(("head_dim", size), ("num_key_value_heads", keys)))
    }
    let factors = try? factors("rope_freqs.weight")
    let full = JSONValue.members(
      ("rope_type", .string("longrope")), ("short_factor", factors), ("long_factor", factors),
      ("attention_factor", .number(.integer(1))), ("rope_theta", value("rope.freq_base")))
    let sliding = JSONValue.members(("rope_theta", value("rope.freq_base_swa")))
    var settings = biases().merging([
      "head_dim": value("attention.key_length_swa") ?? .null, "layer_types": kinds,
      "per_layer_config": .object((try? JSONObject(layers)) ?? JSONObject()),
      "num_key_value_heads": groups?.array?.first ?? groups ?? .null,
      "rope_scaling": .null, "rope.dimension_count": .null, "rope.freq_base_swa": .null,
      "rope_parameters": .members(("full_attention", full), ("sliding_attention", sliding)),
      "enable_moe_block": .bool(isMixture),
      "attention_k_eq_v": .bool(
        (0..<blocks).first(where: isFull).map { !contains("blk.\($0).attn_v.weight") } ?? false),
    ]) { $1 }
    if size("rope.dimension_count_swa") == size("attention.key_length_swa") {
      settings["partial_rotary_factor"] = .null
    }
    // The last blocks may be twice as wide.
    if let widths = value("feed_forward_length")?.array, let first = widths.first?.int,
      first <= 1 << 30
    {
      let own = blocks - min(size("attention.shared_kv_layers") ?? 0, blocks)
      let doubled = (0..<blocks).map { $0 < own ? first : 2 * first }
      settings["use_double_wide_mlp"] = .bool(true)
      settings["intermediate_size"] = widths.map(\.int) == doubled ? widths[0] : .array(widths)
    }
    return settings
  }
}
