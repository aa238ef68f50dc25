import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// Persimmon: the sequential block of GPT-NeoX with norms of the heads' queries and keys and a squared ReLU; half
  /// of every head rotates.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Elsen et al., *Releasing Persimmon-8B*, 2023.
  public static let persimmon = FamilyDefinition(
    "persimmon", outerTypes: ["fuyu": "persimmon"]
  ) { try DecoderModel(persimmon: $0) }
}

extension DecoderModel {
  fileprivate init(persimmon file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 36, feedForwardWidth: 16384, heads: 64, positions: 16384,
        activation: ("hidden_act", "relu2"), rotatedShare: 0.5),
      epsilon: try c.positive("layer_norm_eps", default: 1e-5))
    _ = try c.headDimension(width: s.width, heads: s.heads)
    // As many as query heads, whatever the file says.
    s.keyValueHeads = s.heads
    let normsHeads = try c.flag("qk_layernorm", default: true)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.layerNorm("model.final_layernorm")) { [s] block, _ in
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.weights.linear(name, outputs: outputs, inputs: inputs, bias: true)
      }
      var attention = block.attention(
        .grouped(
          try linear("self_attn.query_key_value", 3 * s.width, s.width), heads: s.heads,
          keyValueHeads: s.heads, headDimension: s.headDimension, in: file.format),
        output: try linear("self_attn.dense", s.width, s.width), window: nil)
      if normsHeads {
        let norm = { (name: String) in
          try block.weights.headNorm(
            "self_attn.\(name)", heads: s.heads, size: s.headDimension, epsilon: s.epsilon)
        }
        attention.queryNorm = try norm("q_layernorm")
        attention.keyNorm = try norm("k_layernorm")
      }
      return DecoderBlock(
        mixerNorm: try block.layerNorm("input_layernorm"), mixer: attention,
        feedForwardNorm: try block.layerNorm("post_attention_layernorm"),
        feedForward: MLPWeights(
          up: try linear("mlp.dense_h_to_4h", s.feedForwardWidth, s.width),
          down: try linear("mlp.dense_4h_to_h", s.width, s.feedForwardWidth),
          activation: s.activation))
    }
  }
}
