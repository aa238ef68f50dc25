import Checkpoint

extension FamilyDefinition {
  /// GLM-4 of 2024 (glm-4-9b-hf, glm-edge): a block of Llama with gate and up in one matrix, and heads in which the
  /// first half rotates, in pairs of neighbours.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). GLM Team, arXiv 2406.12793.
  public static let glm = FamilyDefinition(
    "glm", gguf: .glm, initialisation: .glm
  ) { try DecoderModel(glm: $0) }
}

extension DecoderModel {
  fileprivate init(glm file: ModelFile) throws {
    let s = try DecoderSettings(glm: file.configuration)
    try file.configuration.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(outputBias: false),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.fusedMLP())
    }
  }
}

extension DecoderSettings {
  /// The settings of GLM and of its successor with more norms.
  init(glm c: Configuration) throws(ModelError) {
    try self.init(
      c,
      .init(
        layers: 40, feedForwardWidth: 13696, keyValueHeads: 2, headDimension: 128,
        positions: 131_072, epsilon: 1.5625e-7, rotatedShare: 0.5))
    pairing = .interleaved
    attentionBias = try c.flag("attention_bias", default: true)
  }
}

extension GGUFDialect {
  /// The dialect. llama.cpp kept the architecture name of the first models, which have queries, keys and values in
  /// one matrix.
  fileprivate static let glm = GGUFDialect(
    architecture: "chatglm", names: decoder(with: ["mlp.gate_up_proj": "ffn_up"]),
    epsilon: "attention.layer_norm_rms_epsilon", pairing: .interleaved, settings: { $0.biases() })
}

extension Initialisation {
  /// The initialisation, with GLM's padding token.
  static let glm = Initialisation(paddingToken: 151_329)
}
