import Checkpoint

extension FamilyDefinition {
  /// ERNIE 4.5, the dense models: the block of Llama in which neighbouring features of a head rotate together.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Baidu ERNIE Team, *ERNIE 4.5 Technical Report*, 2025.
  public static let ernie = FamilyDefinition(
    "ernie4_5", gguf: .ernie, initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try DecoderModel(ernie: $0) }
}

extension DecoderModel {
  fileprivate init(ernie file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 18, width: 1024, feedForwardWidth: 3072, heads: 16, keyValueHeads: 2,
        headDimension: 128, positions: 131_072, epsilon: 1e-5, theta: 500_000, tiedHead: true))
    s.pairing = .interleaved
    s.attentionBias = try c.flag("use_bias", default: false)
    s.mlpBias = s.attentionBias
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"), mixer: block.attention(),
        feedForwardNorm: block.norm("post_attention_layernorm"), feedForward: block.mlp())
    }
  }
}

extension GGUFDialect {
  fileprivate static let ernie = GGUFDialect(
    architecture: "ernie4_5", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    pairing: .interleaved, settings: { $0.biases(attention: "use_bias") })
}
