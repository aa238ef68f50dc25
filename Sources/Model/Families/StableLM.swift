import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// StableLM: the block of Llama with LayerNorms and partly rotated heads, Z = X + attention(norm X), F = Z +
  /// mlp(norm Z) with a gated MLP; in 12b, both halves follow one norm, with norms of the heads' queries and keys.
  ///
  /// Bellagente et al., arXiv 2402.17834. The first published files use the name stablelm_epoch.
  public static let stableLM = FamilyDefinition(
    "stablelm", modelTypes: ["stablelm", "stablelm_epoch"], gguf: .stableLM
  ) { try DecoderModel(stableLM: $0) }
}

extension DecoderModel {
  fileprivate init(stableLM file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        width: 2560, feedForwardWidth: 6912,
        heads: try c.size("num_attention_heads", "num_heads", default: 32), keyValueHeads: 32,
        positions: 4096, rotatedShare: 0.25),
      epsilon: try c.positive("layer_norm_eps", "norm_eps", default: 1e-5))
    _ = try c.headDimension(width: s.width, heads: s.heads)
    s.attentionBias = try c.flag("use_qkv_bias", default: false)
    let normsHeads = try c.flag("qk_layernorm", default: false)
    let isParallel = try c.flag("use_parallel_residual", default: false)
    try c.checkSupported(
      try c.number("rotary_scaling_factor", default: 1) == 1, "rotary_scaling_factor", "it is 1")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.layerNorm("model.norm")) { block, _ in
      let norm = try block.layerNorm("input_layernorm")
      var attention = try block.attention(outputBias: false)
      if normsHeads {
        let headNorm = { (name: String, heads: Int) in
          let norm = "self_attn.\(name)"
          let gains =
            try file.format == .gguf
            ? block.weights.numbers("\(norm).weight", shape: [heads, s.headDimension])
            : (0..<heads).flatMap {
              try block.weights.vector("\(norm).norms.\($0).weight", count: s.headDimension)
            }
          return HeadNormWeights(heads: heads, gain: gains, epsilon: s.epsilon)
        }
        attention.queryNorm = try headNorm("q_layernorm", s.heads)
        attention.keyNorm = try headNorm("k_layernorm", s.keyValueHeads)
      }
      return DecoderBlock(
        isParallel ? .parallel : .sequential, mixerNorm: norm, mixer: attention,
        feedForwardNorm: isParallel ? norm : try block.layerNorm("post_attention_layernorm"),
        feedForward: try block.mlp())
    }
  }
}

extension GGUFDialect {
  /// The dialect. Norms and parallel halves are recognised by the tensors: the key for parallel halves is also true
  /// in files without them.
  fileprivate static let stableLM = GGUFDialect(
    architecture: "stablelm",
    names: decoder(with: [
      "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm",
    ]),
    settings: { file in
      file.biases(attention: "use_qkv_bias").merging([
        "qk_layernorm": .bool(file.contains("blk.0.attn_q_norm.weight")),
        "use_parallel_residual": .bool(!file.contains("blk.0.ffn_norm.weight")),
      ]) { $1 }
    })
}
