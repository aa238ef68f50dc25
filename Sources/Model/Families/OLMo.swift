import Checkpoint

extension FamilyDefinition {
  /// OLMo: a block of Llama with LayerNorms without weights, and optionally clipped queries, keys and values.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Groeneveld et al., arXiv 2402.00838.
  public static let olmo = FamilyDefinition(
    "olmo", gguf: .olmo, initialisation: Initialisation(paddingToken: 1)
  ) { try DecoderModel(olmo: $0) }
}

extension DecoderModel {
  fileprivate init(olmo file: ModelFile) throws {
    let c = file.configuration
    // The key occurs in GGUF, but in no config.json.
    let norm = LayerNormWeights(
      epsilon: try c.positive("attention.layer_norm_epsilon", default: 1e-5))
    var s = try DecoderSettings(c, epsilon: norm.epsilon)
    s.attentionBias = try c.flag("attention_bias", default: false)
    let clip = try c.nullablePositive("clip_qkv", absent: nil)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: norm,
      note: clip.map {
        // GGUF stores it in single precision.
        "queries, keys and values are clipped at ±\(Float($0)), where their derivative is 0"
      }
    ) { block, _ in
      var attention = try block.attention()
      attention.clip = clip
      return DecoderBlock(
        mixerNorm: norm, mixer: attention, feedForwardNorm: norm, feedForward: try block.mlp())
    }
  }
}

extension GGUFDialect {
  fileprivate static let olmo = GGUFDialect(
    architecture: "olmo", names: decoder, keys: ["clip_qkv": ["attention.clamp_kqv"]],
    pairing: .interleaved, settings: { $0.biases() })
}
