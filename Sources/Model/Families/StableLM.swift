import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// StableLM: the block of Llama with LayerNorms and a part of every head rotated, Z = X + attention(norm X),
  /// F = Z + mlp(norm Z) with a gated MLP; or (12b) both halves after one norm, with norms of the heads' queries and keys.
  ///
  /// Bellagente et al., arXiv 2402.17834. The first published files call themselves stablelm_epoch.
  public static let stableLM = FamilyDefinition(
    "stablelm", modelTypes: ["stablelm", "stablelm_epoch"], gguf: .stableLM
  ) { try DecoderModel(stableLM: $0) }
}

extension DecoderModel {
  fileprivate init(stableLM file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_hidden_layers", default: 32)
    let width = try c.size("hidden_size", default: 2560)
    let heads = try c.size("num_attention_heads", "num_heads", default: 32)
    let keyValueHeads = try c.keyValueHeads(heads: heads, default: 32)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("intermediate_size", default: 6912)
    let trained = try c.size("max_position_embeddings", default: 4096)
    let rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultShare: 0.25, trained: trained)
    let epsilon = try c.positive("layer_norm_eps", "norm_eps", default: 1e-5)
    let activation = try Activation(c, "hidden_act", default: "silu")
    let hasBias = try c.flag("use_qkv_bias", default: false)
    let normsHeads = try c.flag("qk_layernorm", default: false)
    let isParallel = try c.flag("use_parallel_residual", default: false)
    let isTied = try c.flag("tie_word_embeddings", default: false)
    try c.checkSupported(
      try c.number("rotary_scaling_factor", default: 1) == 1, "rotary_scaling_factor", "it is 1")
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "model.", alternatives: [""], probe: "embed_tokens.weight")
    let model = weights.scoped("model.")
    let tokens = try model.table("embed_tokens.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = model.scoped("layers.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: false)
      }
      let norm = { try block.layerNorm($0, width: width, epsilon: epsilon) }
      let headNorm = { (name: String, heads: Int) -> HeadNormWeights? in
        guard normsHeads else { return nil }
        let norm = "self_attn.\(name)"
        let gains =
          try file.format == .gguf
          ? block.numbers("\(norm).weight", shape: [heads, headDimension])
          : (0..<heads).flatMap {
            try block.vector("\(norm).norms.\($0).weight", count: headDimension)
          }
        return HeadNormWeights(heads: heads, gain: gains, epsilon: epsilon)
      }
      let attentionNorm = try norm("input_layernorm")
      let keys = keyValueHeads * headDimension
      return DecoderBlock(
        isParallel ? .parallel : .sequential, mixerNorm: attentionNorm,
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
          projection: try block.projections(
            "self_attn", queries: width, keys: keys, inputs: width, bias: hasBias),
          output: try linear("self_attn.o_proj", width, width),
          queryNorm: try headNorm("q_layernorm", heads),
          keyNorm: try headNorm("k_layernorm", keyValueHeads), rotary: rotary),
        feedForwardNorm: isParallel ? attentionNorm : try norm("post_attention_layernorm"),
        feedForward: MLPWeights(
          gate: try linear("mlp.gate_proj", feedForwardWidth, width),
          up: try linear("mlp.up_proj", feedForwardWidth, width),
          down: try linear("mlp.down_proj", width, feedForwardWidth), activation: activation))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: keyValueHeads,
      feedForwardWidth: feedForwardWidth, positions: rotary.isUnlimited ? nil : trained,
      embedding: Embedding(tokens: tokens),
      blocks: blocks,
      head: Head(
        norm: try model.layerNorm("norm", width: width, epsilon: epsilon),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "layers.")
  }
}

extension GGUFDialect {
  /// The tensors tell of norms and parallel halves; the key of the latter is true in files whose halves are not.
  fileprivate static let stableLM = GGUFDialect(
    architecture: "stablelm",
    names: decoder(with: [
      "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm",
    ]),
    settings: { file in
      file.biases(attention: "use_qkv_bias").merging([
        "qk_layernorm": .bool(file.contains("blk.0.attn_q_norm.weight")),
        "use_parallel_residual": .bool(!file.contains("blk.0.ffn_norm.weight")),
      ]) { $1 }
    })
}
