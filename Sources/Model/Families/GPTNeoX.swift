import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-NeoX and Pythia: both halves read X, F = X + attention(norm X) + mlp(norm′ X), or one follows the other; a
  /// part of every head rotates. Queries, keys and values of each head are adjacent in one matrix.
  ///
  /// Black et al., arXiv 2204.06745; Biderman et al., arXiv 2304.01373.
  public static let gptNeoX = FamilyDefinition(
    "gpt_neox", gguf: .gptNeoX, initialisation: Initialisation(hasPadding: false)
  ) { try DecoderModel(gptNeoX: $0) }
}

extension DecoderModel {
  fileprivate init(gptNeoX file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_hidden_layers", default: 44)
    let width = try c.size("hidden_size", default: 6144)
    let heads = try c.size("num_attention_heads", default: 64)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("intermediate_size", default: 24576)
    let trained = try c.size("max_position_embeddings", default: 2048)
    let rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultShare: 0.25, trained: trained, .init(roundsUp: true))
    let epsilon = try c.positive("layer_norm_eps", default: 1e-5)
    let activation = try Activation(c, "hidden_act", default: "gelu")
    let hasBias = try c.flag("attention_bias", default: true)
    let isParallel = try c.flag("use_parallel_residual", default: true)
    let isTied = try c.flag("tie_word_embeddings", default: false)
    // It is a decoder, whether the file says so or not.
    _ = try c.flag("is_decoder", default: true)
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "gpt_neox.", alternatives: [""], probe: "embed_in.weight")
    let tokens = try weights.table("gpt_neox.embed_in.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = weights.scoped("gpt_neox.layers.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int, bias: Bool) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: bias)
      }
      return DecoderBlock(
        isParallel ? .parallel : .sequential,
        mixerNorm: try block.layerNorm("input_layernorm", width: width, epsilon: epsilon),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .grouped(
            try linear("attention.query_key_value", 3 * width, width, hasBias), heads: heads,
            keyValueHeads: heads, headDimension: headDimension, in: file.format),
          output: try linear("attention.dense", width, width, hasBias), rotary: rotary),
        feedForwardNorm: try block.layerNorm(
          "post_attention_layernorm", width: width, epsilon: epsilon),
        feedForward: MLPWeights(
          up: try linear("mlp.dense_h_to_4h", feedForwardWidth, width, true),
          down: try linear("mlp.dense_4h_to_h", width, feedForwardWidth, true),
          activation: activation))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: feedForwardWidth, positions: rotary.isUnlimited ? nil : trained,
      embedding: Embedding(tokens: tokens),
      blocks: blocks,
      head: Head(
        norm: try weights.layerNorm("gpt_neox.final_layer_norm", width: width, epsilon: epsilon),
        // Published files call it embed_out.
        weights: try weights.head(
          weights.contains("embed_out.weight") ? "embed_out" : "lm_head", tied: isTied, to: tokens)
      ),
      blockWord: "layers.")
  }
}

extension GGUFDialect {
  fileprivate static let gptNeoX = GGUFDialect(
    architecture: "gptneox",
    names: [
      "gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm",
      "embed_out": "output", "lm_head": "output",
    ].merging(
      inBlocks(
        "gpt_neox.layers.#.",
        [
          "input_layernorm": "attn_norm", "attention.query_key_value": "attn_qkv",
          "attention.dense": "attn_output", "post_attention_layernorm": "ffn_norm",
          "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
        ])
    ) { $1 },
    settings: { ["attention_bias": .bool($0.contains("blk.0.attn_qkv.bias"))] })
}
