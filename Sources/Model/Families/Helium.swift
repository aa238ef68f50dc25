import Checkpoint

extension FamilyDefinition {
  /// Helium 1: the block of Llama in which neighbouring features of a head rotate together.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Kyutai, *Helium 1*, 2025.
  public static let helium = FamilyDefinition(
    "helium", initialisation: Initialisation(paddingToken: 3)
  ) { try DecoderModel(helium: $0) }
}

extension DecoderModel {
  fileprivate init(helium file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 24, width: 2560, feedForwardWidth: 7040, heads: 20, keyValueHeads: 20,
        headDimension: 128, positions: 4096, epsilon: 1e-8, theta: 100_000))
    s.pairing = .interleaved
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    try c.check(
      s.heads * s.headDimension == s.width, "head_dim", "is not width / heads")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"), mixer: block.attention(outputBias: false),
        feedForwardNorm: block.norm("post_attention_layernorm"), feedForward: block.mlp())
    }
  }
}
