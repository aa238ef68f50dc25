import Checkpoint

extension FamilyDefinition {
  /// GLM-4 of 2025 (GLM-4-0414, GLM-Z1): the block of GLM with a second norm after each half.
  ///
  /// X ↦ Z = X + norm(attention(norm X)), F = Z + norm(mlp(norm Z)); f = F − X, the norms after the halves included.
  public static let glm4 = FamilyDefinition(
    "glm4",
    residual: "f(X) = F(X) − X = norm(attention(norm X)) + norm(mlp(norm Z)), "
      + "Z = X + norm(attention(norm X))", gguf: .glm4, initialisation: .glm
  ) { try DecoderModel(glm4: $0) }
}

extension DecoderModel {
  fileprivate init(glm4 file: ModelFile) throws {
    let s = try DecoderSettings(glm: file.configuration)
    try file.configuration.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      // The second norm has the name that other families give to the first norm of the MLP.
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(outputBias: false),
        afterMixer: block.norm("post_self_attn_layernorm"),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.fusedMLP(),
        afterFeedForward: block.norm("post_mlp_layernorm"))
    }
  }
}

extension GGUFDialect {
  fileprivate static let glm4 = GGUFDialect(
    architecture: "glm4",
    names: decoder(with: [
      "mlp.gate_up_proj": "ffn_up", "post_self_attn_layernorm": "post_attention_norm",
      "post_mlp_layernorm": "post_ffw_norm",
    ]),
    epsilon: "attention.layer_norm_rms_epsilon", pairing: .interleaved, settings: { $0.biases() })
}
