import Checkpoint

extension FamilyDefinition {
  /// Arcee (AFM): the block of Llama with a squared ReLU in place of gate and SiLU.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Arcee AI, *AFM-4.5B*, 2025; So et al., arXiv 2109.08668.
  public static let arcee = FamilyDefinition("arcee", gguf: .arcee) {
    try DecoderModel(arcee: $0)
  }
}

extension DecoderModel {
  fileprivate init(arcee file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        width: 2560, feedForwardWidth: 18432, positions: 4096, epsilon: 1e-5,
        activation: ("hidden_act", "relu2")))
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"), mixer: block.attention(),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp(isGated: false))
    }
  }
}

extension GGUFDialect {
  fileprivate static let arcee = GGUFDialect(
    architecture: "arcee", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    pairing: .interleaved, settings: { $0.biases(mlp: "mlp_bias") })
}
