import Checkpoint

extension FamilyDefinition {
  /// StarCoder 2: the block of Llama with LayerNorms, an MLP without a gate, biases everywhere and, in some models, a
  /// sliding window.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Lozhkov et al., arXiv 2402.19173.
  public static let starCoder2 = FamilyDefinition(
    "starcoder2", gguf: .starCoder2,
    initialisation: Initialisation(deviation: 0.018042, isTied: true)
  ) { try DecoderModel(starCoder2: $0) }
}

extension DecoderModel {
  fileprivate init(starCoder2 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 30, width: 3072, feedForwardWidth: 12288, heads: 24, keyValueHeads: 2,
        positions: 4096, activation: ("hidden_act", "gelu_pytorch_tanh"), tiedHead: true),
      epsilon: try c.positive("norm_epsilon", default: 1e-5))
    let hasBias = try c.flag("use_bias", default: true)
    s.attentionBias = hasBias
    let window = try c.optionalSize("sliding_window")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.layerNorm("model.norm")) { block, _ in
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.weights.linear(name, outputs: outputs, inputs: inputs, bias: hasBias)
      }
      return try DecoderBlock(
        mixerNorm: block.layerNorm("input_layernorm"), mixer: block.attention(window: window),
        feedForwardNorm: block.layerNorm("post_attention_layernorm"),
        feedForward: MLPWeights(
          up: linear("mlp.c_fc", s.feedForwardWidth, s.width),
          down: linear("mlp.c_proj", s.width, s.feedForwardWidth), activation: s.activation))
    }
  }
}

extension GGUFDialect {
  fileprivate static let starCoder2 = GGUFDialect(
    architecture: "starcoder2",
    names: decoder(with: ["mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"]),
    keys: [
      "norm_epsilon": ["attention.layer_norm_epsilon"],
      "sliding_window": ["attention.sliding_window"],
    ],
    settings: { $0.biases(attention: "use_bias") })
}
