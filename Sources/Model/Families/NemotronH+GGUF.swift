import Files

extension GGUFDialect {
  /// The dialect. A block is an attention if it has key-value heads, an MLP or a mixture if it has a width, and
  /// otherwise a state space. Nothing rotates, although files give a number of rotated features.
  static func nemotronH(_ architecture: String) -> GGUFDialect {
    GGUFDialect(
      architecture: architecture,
      names: [
        "backbone.embeddings": "token_embd", "backbone.norm_f": "output_norm", "lm_head": "output",
      ].merging(
        inBlocks("backbone.layers.#.", recurrence("mixer").merging(nemotronBlock) { $1 })
      ) { $1 },
      epsilon: "attention.layer_norm_rms_epsilon",
      keys: expertKeys.merging(recurrenceKeys) { $1 }.merging([
        "layers_block_type": [heads],
        "moe_shared_expert_intermediate_size": ["expert_shared_feed_forward_length"],
      ]) { $1 },
      required: essential + recurrenceSizes + [heads],
      settings: { file in
        var settings = file.blockCounts.merging(file.valueDimension("mamba_head_dim")) { $1 }
          .merging(file.mixerBiases(input: "use_bias", convolution: "use_conv_bias")) { $1 }
        settings["num_key_value_heads"] = file.entryOfSome(heads)
        settings["intermediate_size"] = file.entryOfSome(widths)
        settings["mlp_bias"] = .bool(file.hasInABlock("ffn_up.bias"))
        for key in ["rope.dimension_count", "expert_gating_func", "expert_shared_count"] {
          settings[key] = .null
        }
        let kinds = zip(file.entries(heads) ?? [], file.entries(widths) ?? []).enumerated().map {
          JSONValue.string(file.kind(ofBlock: $0, heads: $1.0, width: $1.1))
        }
        settings["layers_block_type"] = .array(
          Array(kinds.prefix(settings["num_hidden_layers"]?.int ?? 0)))
        return settings
      })
  }

  private static let (heads, widths) = ("attention.head_count_kv", "feed_forward_length")

  private static let nemotronBlock = [
    "norm": "attn_norm", "mixer.q_proj": "attn_q", "mixer.k_proj": "attn_k",
    "mixer.v_proj": "attn_v", "mixer.qkv_proj": "attn_qkv", "mixer.o_proj": "attn_output",
    "mixer.up_proj": "ffn_up", "mixer.down_proj": "ffn_down", "mixer.gate": "ffn_gate_inp",
    "mixer.gate.e_score_correction_bias": "exp_probs_b.bias",
    "mixer.experts.up_proj": "ffn_up_exps", "mixer.experts.down_proj": "ffn_down_exps",
    "mixer.shared_experts.up_proj": "ffn_up_shexp",
    "mixer.shared_experts.down_proj": "ffn_down_shexp",
    "mixer.fc1_latent_proj": "ffn_latent_down", "mixer.fc2_latent_proj": "ffn_latent_up",
  ]
}

extension GGUFMetadata {
  fileprivate func kind(ofBlock l: Int, heads: Int, width: Int) -> String {
    guard width == 0 else { return contains("blk.\(l).ffn_gate_inp.weight") ? "moe" : "mlp" }
    return heads == 0 ? "mamba" : "attention"
  }
}
