import Files
import Checkpoint

/// llama.cpp's tensor names that several families share.
extension GGUFDialect {
  /// The names of families close to Llama.
  public static let decoder = [
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "model.layers.#.input_layernorm": "blk.#.attn_norm",
    "model.layers.#.self_attn.q_proj": "blk.#.attn_q",
    "model.layers.#.self_attn.k_proj": "blk.#.attn_k",
    "model.layers.#.self_attn.v_proj": "blk.#.attn_v",
    "model.layers.#.self_attn.qkv_proj": "blk.#.attn_qkv",
    "model.layers.#.self_attn.o_proj": "blk.#.attn_output",
    "model.layers.#.post_attention_layernorm": "blk.#.ffn_norm",
    "model.layers.#.mlp.gate_proj": "blk.#.ffn_gate",
    "model.layers.#.mlp.up_proj": "blk.#.ffn_up",
    "model.layers.#.mlp.down_proj": "blk.#.ffn_down",
  ]

  /// The same names, with some tensors of a block renamed or added.
  public static func decoder(with block: [String: String]) -> [String: String] {
    decoder.merging(inBlocks("model.layers.#.", block)) { $1 }
  }

  /// The names of the tensors of blocks, given without the prefixes of both sides.
  public static func inBlocks(_ prefix: String, _ block: [String: String]) -> [String: String] {
    Dictionary(uniqueKeysWithValues: block.map { (prefix + $0.key, "blk.#." + $0.value) })
  }

  /// The names of a mixture's router and experts, all experts in one tensor, and of the experts that all tokens
  /// share.
  static let experts = [
    "mlp.gate": "ffn_gate_inp", "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
    "mlp.experts.gate_up_proj": "ffn_gate_up_exps",
    "mlp.experts.gate_proj": "ffn_gate_exps", "mlp.experts.up_proj": "ffn_up_exps",
    "mlp.experts.down_proj": "ffn_down_exps",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
  ]

  /// The keys of mixtures of experts.
  static let expertKeys = [
    "num_experts": ["expert_count"], "num_local_experts": ["expert_count"],
    "n_routed_experts": ["expert_count"], "num_experts_per_tok": ["expert_used_count"],
    "moe_intermediate_size": ["expert_feed_forward_length"],
    "n_shared_experts": ["expert_shared_count"], "n_group": ["expert_group_count"],
    "topk_group": ["expert_group_used_count"], "norm_topk_prob": ["expert_weights_norm"],
    "routed_scaling_factor": ["expert_weights_scale"],
    "first_k_dense_replace": ["leading_dense_block_count"],
    "num_nextn_predict_layers": ["nextn_predict_layers"],
  ]

  /// The names of the norms of queries and keys, and of the norms after the halves of a block.
  static let headNorms = ["self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"]
  static let normsBehind = [
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
  ]
}

extension GGUFMetadata {
  /// The keys of a config.json that say whether queries and the MLP have biases, derived from the tensors.
  public func biases(attention: String? = "attention_bias", mlp: String? = nil) -> [String:
    JSONValue]
  {
    var flags: [String: JSONValue] = [:]
    if let attention {
      flags[attention] = .bool(["attn_q.bias", "attn_qkv.bias"].contains(where: hasInABlock))
    }
    if let mlp { flags[mlp] = .bool(hasInABlock("ffn_up.bias")) }
    return flags
  }

  /// Whether a block has a tensor of this name.
  func hasInABlock(_ name: String) -> Bool {
    tensors.tensors.contains { $0.name.hasPrefix("blk.") && $0.name.hasSuffix("." + name) }
  }

  /// The number of blocks of the model, without those after them that predict further tokens, and the number of the
  /// latter.
  var blockCounts: [String: JSONValue] {
    let further = size("nextn_predict_layers") ?? 0
    return [
      "num_hidden_layers": .number(.integer(max((size("block_count") ?? 0) - further, 0))),
      "num_nextn_predict_layers": .number(.integer(further)),
    ]
  }
}
