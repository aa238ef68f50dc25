import Autodiff

extension FamilyDefinition {
  /// Phi 1, 1.5 and 2: F = X + attention(norm X) + mlp(norm X) with one norm, biases everywhere, and partly rotated
  /// heads.
  ///
  /// Gunasekar et al., arXiv 2306.11644; Li et al., arXiv 2309.05463.
  public static let phi = FamilyDefinition(
    "phi", gguf: .phi
  ) { try DecoderModel(phi: $0) }
}

extension DecoderModel {
  fileprivate init(phi file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(
      c,
      .init(
        layers: 24, width: 2048, feedForwardWidth: 8192, activation: ("hidden_act", "gelu_new"),
        rotatedShare: 0.5),
      epsilon: try c.positive("layer_norm_eps", default: 1e-5))
    _ = try c.headDimension(width: s.width, heads: s.heads)
    let normsHeads = try c.flag("qk_layernorm", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.layerNorm("model.final_layernorm"), headBias: true
    ) { block, _ in
      let norm = try block.layerNorm("input_layernorm")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.weights.linear(name, outputs: outputs, inputs: inputs, bias: true)
      }
      var attention = block.attention(
        try block.weights.projections(
          "self_attn", queries: s.width, keys: s.keyValueHeads * s.headDimension, inputs: s.width,
          bias: true),
        output: try linear("self_attn.dense", s.width, s.width), window: nil)
      if normsHeads {
        let headNorm = { (name: String, heads: Int) in
          try block.weights.headNorm(
            "self_attn.\(name)", heads: heads, size: s.headDimension, epsilon: s.epsilon)
        }
        attention.queryNorm = try headNorm("q_layernorm", s.heads)
        attention.keyNorm = try headNorm("k_layernorm", s.keyValueHeads)
      }
      return DecoderBlock(
        .parallel, mixerNorm: norm, mixer: attention, feedForwardNorm: norm,
        feedForward: MLPWeights(
          up: try linear("mlp.fc1", s.feedForwardWidth, s.width),
          down: try linear("mlp.fc2", s.width, s.feedForwardWidth), activation: s.activation))
    }
  }
}

extension GGUFDialect {
  fileprivate static let phi = GGUFDialect(
    architecture: "phi2",
    names: decoder(with: [
      "self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    ]).merging(["model.final_layernorm": "output_norm"]) { $1 })
}
