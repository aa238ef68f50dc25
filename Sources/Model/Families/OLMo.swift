import Checkpoint

extension FamilyDefinition {
  /// OLMo: a block of Llama with LayerNorms that have no weights, and queries, keys and values clipped if the file says so.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Groeneveld et al., arXiv 2402.00838.
  public static let olmo = FamilyDefinition(
    "olmo", gguf: .olmo, initialisation: Initialisation(paddingToken: 1)
  ) { try GatedDecoder(olmo: $0) }
}

extension GatedDecoder {
  fileprivate init(olmo file: ModelFile) throws {
    let c = file.configuration
    // No config.json has the key, GGUF has.
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
        // GGUF has it in single precision.
        "queries, keys and values are clipped at ±\(Float($0)), where their derivative is 0"
      }
    ) { block, _ in
      var attention = try block.attention()
      attention.clip = clip
      return Block(
        beforeAttention: norm, attention: attention, beforeMLP: norm,
        mlp: try block.mlp())
    }
  }
}

extension GGUFDialect {
  fileprivate static let olmo = GGUFDialect(
    architecture: "olmo", names: decoder, keys: ["clip_qkv": ["attention.clamp_kqv"]],
    pairing: .interleaved, settings: { $0.biases() })
}
