import Autodiff
import Checkpoint
import Foundation
import LinearAlgebra

/// The sizes of a latent attention.
struct LatentSizes {
  let plain, rotated, value, keyValueRank: Int
  /// The rank of the queries; nil if they come from a single matrix.
  let queryRank: Int?
  /// The factor of the scores.
  let scale: Double

  /// Reads the keys of DeepSeek's models. Throws `ModelError`.
  init(_ c: Configuration, heads: Int) throws(ModelError) {
    plain = try c.size("qk_nope_head_dim", default: 128)
    rotated = try c.size("qk_rope_head_dim", default: 64)
    value = try c.size("v_head_dim", default: 128)
    keyValueRank = try c.size("kv_lora_rank", default: 512)
    queryRank = try c.nullableSize("q_lora_rank", absent: 1536)
    // Each size is at most 2³¹.
    try c.check(
      heads <= (1 << 31) / (plain + max(rotated, value)), "num_attention_heads",
      "makes more than 2³¹ features of all heads")
    // Each head's keys consist of rotated ones, shared by all heads, and its own, so there are as many key heads as
    // query heads.
    let keyHeads = try c.size("num_key_value_heads", default: heads)
    try c.check(keyHeads == heads, "num_key_value_heads", "is not the number of heads")
    for key in ["head_dim", "qk_head_dim"] { c.understand(key) }
    scale =
      try Self.magnitude(c) / Double(plain + rotated).squareRoot()
  }

  /// m², with YaRN's m = 0.1 · mscale_all_dim · ln factor + 1.
  private static func magnitude(_ c: Configuration) throws(ModelError) -> Double {
    guard let rope = try c.optionalObject("rope_scaling", "rope_parameters") else { return 1 }
    let kind = try rope.text("rope_type", "type", default: "default")
    let all = try rope.number("mscale_all_dim", default: 0)
    guard kind != "default", all != 0 else { return 1 }
    let factor = try rope.positive("factor")
    let m = factor <= 1 ? 1 : 0.1 * all * log(factor) + 1
    return m * m
  }
}

extension DecoderReader {
  /// The attention made of `q_proj`, or `q_a_proj`, `q_a_layernorm` and `q_b_proj`; `kv_a_proj_with_mqa`,
  /// `kv_a_layernorm`, `kv_b_proj`; and `o_proj`. llama.cpp may split `kv_b_proj` into the keys of every head,
  /// transposed, and the values of all.
  func latentAttention(_ sizes: LatentSizes) throws -> LatentAttention {
    let (s, n, v, rank) = (settings, sizes.plain, sizes.value, sizes.keyValueRank)
    let size = n + sizes.rotated
    let linear = { (name: String, outputs: Int, inputs: Int, bias: Bool) in
      try weights.linear("self_attn.\(name)", outputs: outputs, inputs: inputs, bias: bias)
    }
    // No key gives the ε of these norms.
    let norm = { (name: String, count: Int) in
      RMSNormWeights(
        gain: try weights.vector("self_attn.\(name).weight", count: count), epsilon: 1e-6)
    }
    let queries: LatentAttention.Queries =
      if let inner = sizes.queryRank {
        .lowRank(
          down: try linear("q_a_proj", inner, s.width, s.attentionBias),
          norm: try norm("q_a_layernorm", inner),
          up: try linear("q_b_proj", s.heads * size, inner, false))
      } else {
        .direct(try linear("q_proj", s.heads * size, s.width, false))
      }
    let up: LatentAttention.KeysAndValues =
      if weights.contains("self_attn.k_b_proj.weight") {
        .apart(
          keys: try weights.matrices(
            "self_attn.k_b_proj.weight", count: s.heads, rows: rank, columns: n
          ).map { LinearWeights(weights: $0, transposed: true) },
          values: LinearWeights(
            weights: try weights.rows("self_attn.v_b_proj.weight", shape: [s.heads, v, rank])))
      } else {
        .together(try linear("kv_b_proj", s.heads * (n + v), rank, false))
      }
    return LatentAttention(
      heads: s.heads, plainDimension: n, rotatedDimension: sizes.rotated, valueDimension: v,
      queries: queries,
      down: try linear("kv_a_proj_with_mqa", rank + sizes.rotated, s.width, s.attentionBias),
      norm: try norm("kv_a_layernorm", rank), up: up,
      output: try linear("o_proj", s.width, s.heads * v, s.attentionBias), scale: sizes.scale,
      rotary: s.rotary, pairing: s.pairing)
  }
}
