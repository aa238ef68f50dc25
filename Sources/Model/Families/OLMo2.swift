import Checkpoint

extension FamilyDefinition {
  /// OLMo 2: norms after the halves of a block instead of before them, and RMSNorms over all queries and all keys of a
  /// token.
  ///
  /// X ↦ Z = X + norm(attention(X)), F = Z + norm(mlp(Z)); f = F − X, including the norms. OLMo Team, arXiv
  /// 2501.00656.
  public static let olmo2 = FamilyDefinition(
    "olmo2",
    residual: "f(X) = F(X) − X = norm(attention(X)) + norm(mlp(Z)), Z = X + norm(attention(X))",
    gguf: .olmo2, initialisation: Initialisation(paddingToken: 1)
  ) { try DecoderModel(olmo2: $0) }
}

extension DecoderModel {
  fileprivate init(olmo2 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c, .init(epsilon: 1e-5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "the norms come after the halves"
    ) { block, _ in
      try block.normsBehind(block.attention(norms: .all))
    }
  }
}

extension DecoderReader {
  /// The block with this attention and a gated MLP, with norms after both and none before them.
  func normsBehind(_ attention: AttentionWeights) throws -> DecoderBlock {
    try DecoderBlock(
      mixer: attention,
      afterMixer: norm("post_attention_layernorm"),
      feedForward: mlp(),
      afterFeedForward: norm("post_feedforward_layernorm"))
  }
}

extension GGUFDialect {
  /// The dialect. OLMo 3, which has windows, uses the same architecture name.
  fileprivate static let olmo2 = GGUFDialect(
    architecture: "olmo2", names: decoder(with: headNorms.merging(normsBehind) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    claims: { $0.size("attention.sliding_window") == nil }, settings: { $0.biases() })
}
