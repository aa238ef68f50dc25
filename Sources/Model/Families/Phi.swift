import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// Phi 1, 1.5 and 2: F = X + attention(norm X) + mlp(norm X) with one norm and biases everywhere, a part of every head
  /// rotated.
  ///
  /// Gunasekar et al., arXiv 2306.11644; Li et al., arXiv 2309.05463.
  public static let phi = FamilyDefinition(
    "phi", gguf: .phi
  ) { try DecoderModel(phi: $0) }
}

extension DecoderModel {
  fileprivate init(phi file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_hidden_layers", default: 24)
    let width = try c.size("hidden_size", default: 2048)
    let heads = try c.size("num_attention_heads", default: 32)
    let keyValueHeads = try c.keyValueHeads(heads: heads, default: heads)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("intermediate_size", default: 8192)
    let trained = try c.size("max_position_embeddings", default: 2048)
    let rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultShare: 0.5, trained: trained)
    let epsilon = try c.positive("layer_norm_eps", default: 1e-5)
    let activation = try Activation(c, "hidden_act", default: "gelu_new")
    let normsHeads = try c.flag("qk_layernorm", default: false)
    let isTied = try c.flag("tie_word_embeddings", default: false)
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "model.", alternatives: [""], probe: "embed_tokens.weight")
    let tokens = try weights.table("model.embed_tokens.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = weights.scoped("model.layers.\(l).")
      let norm = try block.layerNorm("input_layernorm", width: width, epsilon: epsilon)
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: true)
      }
      let headNorm = { (name: String, heads: Int) -> HeadNormWeights? in
        guard normsHeads else { return nil }
        return try block.headNorm(
          "self_attn." + name, heads: heads, size: headDimension, epsilon: epsilon)
      }
      let keys = keyValueHeads * headDimension
      return DecoderBlock(
        .parallel, mixerNorm: norm,
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
          projection: try block.projections(
            "self_attn", queries: width, keys: keys, inputs: width, bias: true),
          output: try linear("self_attn.dense", width, width),
          queryNorm: try headNorm("q_layernorm", heads),
          keyNorm: try headNorm("k_layernorm", keyValueHeads), rotary: rotary),
        feedForwardNorm: norm,
        feedForward: MLPWeights(
          up: try linear("mlp.fc1", feedForwardWidth, width),
          down: try linear("mlp.fc2", width, feedForwardWidth),
          activation: activation))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: keyValueHeads,
      feedForwardWidth: feedForwardWidth, positions: rotary.isUnlimited ? nil : trained,
      embedding: Embedding(tokens: tokens),
      blocks: blocks,
      head: Head(
        norm: try weights.layerNorm("model.final_layernorm", width: width, epsilon: epsilon),
        weights: try weights.head("lm_head", tied: isTied, to: tokens, bias: true)),
      blockWord: "layers.")
  }
}

extension GGUFDialect {
  fileprivate static let phi = GGUFDialect(
    architecture: "phi2",
    names: decoder(with: [
      "self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    ]).merging(["model.final_layernorm": "output_norm"]) { $1 })
}
