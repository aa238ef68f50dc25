import Checkpoint

extension FamilyDefinition {
  /// Qwen3: a block of Llama with an RMSNorm over the features of every query and key before the rotation, an
  /// independent head size, and Qwen2's windows; on its own, or as the text model of Qwen3-VL.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Yang et al., arXiv 2505.09388.
  public static let qwen3 = FamilyDefinition(
    "qwen3", modelTypes: ["qwen3", "qwen3_vl_text"], outerTypes: ["qwen3_vl": "qwen3_vl_text"],
    gguf: .qwen3
  ) { try DecoderModel(qwen3: $0) }
}

extension DecoderModel {
  fileprivate init(qwen3 file: ModelFile) throws {
    let c = file.configuration
    let isText = file.modelType == "qwen3"
    var s = try DecoderSettings(
      c,
      .init(
        feedForwardWidth: 22016, keyValueHeads: 32, headDimension: 128,
        positions: isText ? 32768 : 128_000, theta: isText ? 10_000 : 500_000))
    s.attentionBias = try c.flag("attention_bias", default: false)
    // In the multimodal model no block has a window.
    let windows = isText ? try s.qwenWindows(c) : { _ in nil }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "queries and keys are normalised as well"
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: windows(l), norms: .each),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension GGUFDialect {
  fileprivate static let qwen3 = GGUFDialect(
    architecture: "qwen3", names: decoder(with: headNorms),
    epsilon: "attention.layer_norm_rms_epsilon",
    settings: { $0.biases() })
}
