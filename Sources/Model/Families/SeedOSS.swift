import Checkpoint

extension FamilyDefinition {
  /// Seed-OSS: the block of Llama with biases of queries, keys and values, and an independent head size.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). ByteDance Seed Team, *Seed-OSS*, 2025.
  public static let seedOSS = FamilyDefinition(
    "seed_oss", gguf: .seedOSS, initialisation: Initialisation(paddingToken: 1)
  ) { try DecoderModel(seedOSS: $0) }
}

extension DecoderModel {
  fileprivate init(seedOSS file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 64, feedForwardWidth: 27648, heads: 80, keyValueHeads: 8, headDimension: 128,
        positions: 524_288))
    s.attentionBias = try c.flag("attention_bias", default: true)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    let hasOutputBias = try c.flag("attention_out_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(outputBias: hasOutputBias),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension GGUFDialect {
  /// The dialect. The norm before the MLP has the name that other families give to a norm after the attention.
  fileprivate static let seedOSS = GGUFDialect(
    architecture: "seed_oss",
    names: decoder(with: ["post_attention_layernorm": "post_attention_norm"]),
    epsilon: "attention.layer_norm_rms_epsilon",
    settings: { file in
      file.biases(mlp: "mlp_bias").merging(
        ["attention_out_bias": .bool(file.contains("blk.0.attn_output.bias"))]) { $1 }
    })
}
