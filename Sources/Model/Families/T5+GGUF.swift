import Checkpoint

/// The names that the blocks of both stacks share: attention, its norm, and the MLP as sublayer `mlp`.
private func stack(_ name: String, _ short: String, mlp: Int) -> [String: String] {
  let (block, stored) = ("transformer.\(name).block.#.layer.", "\(short).blk.#.")
  let dense = "\(block)\(mlp).DenseReluDense."
  return [
    "transformer.\(name).final_layer_norm": "\(short).output_norm",
    "\(block)0.layer_norm": "\(stored)attn_norm",
    "\(block)0.SelfAttention.q": "\(stored)attn_q",
    "\(block)0.SelfAttention.k": "\(stored)attn_k",
    "\(block)0.SelfAttention.v": "\(stored)attn_v",
    "\(block)0.SelfAttention.o": "\(stored)attn_o",
    "\(block)0.SelfAttention.relative_attention_bias": "\(stored)attn_rel_b",
    "\(block)\(mlp).layer_norm": "\(stored)ffn_norm",
    "\(dense)wi_0": "\(stored)ffn_gate", "\(dense)wi_1": "\(stored)ffn_up",
    "\(dense)wi": "\(stored)ffn_up", "\(dense)wo": "\(stored)ffn_down",
  ]
}

extension GGUFDialect {
  /// The dialect. Values that files lack are those of all published T5 models: biases reach 128 tokens, and a gate
  /// uses tanh GELU.
  static let t5 = GGUFDialect(
    architecture: "t5",
    names: [
      "transformer.shared": "token_embd", "lm_head": "output",
      "transformer.decoder.block.#.layer.1.layer_norm": "dec.blk.#.cross_attn_norm",
      "transformer.decoder.block.#.layer.1.EncDecAttention.q": "dec.blk.#.cross_attn_q",
      "transformer.decoder.block.#.layer.1.EncDecAttention.k": "dec.blk.#.cross_attn_k",
      "transformer.decoder.block.#.layer.1.EncDecAttention.v": "dec.blk.#.cross_attn_v",
      "transformer.decoder.block.#.layer.1.EncDecAttention.o": "dec.blk.#.cross_attn_o",
    ].merging(stack("encoder", "enc", mlp: 1)) { $1 }
      .merging(stack("decoder", "dec", mlp: 2)) { $1 },
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: [
      "d_ff": ["feed_forward_length"],
      "num_decoder_layers": ["decoder_block_count", "block_count"],
      "relative_attention_num_buckets": ["attention.relative_buckets_count"],
    ],
    settings: { file in
      [
        "feed_forward_proj": .string(
          file.contains("dec.blk.0.ffn_gate.weight") ? "gated-gelu" : "relu")
      ]
    })
}
