import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// BLOOM: the block of GPT-2 with ALiBi instead of positions, a norm after the embedding, and queries, keys and
  /// values of each head adjacent in one matrix.
  ///
  /// With `apply_residual_connection_post_layernorm` the sums start from the normalised stream: Z = norm X +
  /// attention(norm X), F = norm′ Z + mlp(norm′ Z); f is F(X) − X in this case too. Scao et al., arXiv 2211.05100.
  public static let bloom = FamilyDefinition(
    "bloom", gguf: .bloom, initialisation: Initialisation(isTied: true, hasPadding: false)
  ) { try DecoderModel(bloom: $0) }
}

extension DecoderModel {
  fileprivate init(bloom file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("n_layer", "num_hidden_layers", default: 2)
    let width = try c.size("n_embed", "hidden_size", default: 64)
    let heads = try c.size("n_head", "num_attention_heads", default: 8)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let sumsNormed = try c.flag("apply_residual_connection_post_layernorm", default: false)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    // The products are computed in as many slices as in training, to round alike; transformers then omits their
    // biases.
    let isSliced =
      try c.number("pretraining_tp", default: 1) > 1
      && (try c.flag("slow_but_exact", default: false))
    try c.checkSupported(!isSliced, "slow_but_exact", "with \"pretraining_tp\" above 1")
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "transformer.", alternatives: [""], probe: "word_embeddings.weight")
    let model = weights.scoped("transformer.")
    let tokens = try model.table("word_embeddings.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = model.scoped("h.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: true)
      }
      return DecoderBlock(
        sumsNormed ? .normedStream : .sequential,
        mixerNorm: try block.layerNorm("input_layernorm", width: width, epsilon: epsilon),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .grouped(
            try linear("self_attention.query_key_value", 3 * width, width), heads: heads,
            keyValueHeads: heads, headDimension: headDimension, in: file.format),
          output: try linear("self_attention.dense", width, width),
          bias: ALiBi.bias(heads: heads)),
        feedForwardNorm: try block.layerNorm(
          "post_attention_layernorm", width: width, epsilon: epsilon),
        feedForward: MLPWeights(
          up: try linear("mlp.dense_h_to_4h", 4 * width, width),
          down: try linear("mlp.dense_4h_to_h", width, 4 * width), activation: .geluTanh))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: 4 * width, positions: nil,
      embedding: Embedding(
        tokens: tokens,
        norm: try model.layerNorm("word_embeddings_layernorm", width: width, epsilon: epsilon)),
      blocks: blocks,
      head: Head(
        norm: try model.layerNorm("ln_f", width: width, epsilon: epsilon),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "h.")
  }
}

extension GGUFDialect {
  fileprivate static let bloom = GGUFDialect(
    architecture: "bloom",
    names: bloomNames.merging(
      [
        "transformer.word_embeddings_layernorm": "token_embd_norm",
        "transformer.h.#.post_attention_layernorm": "blk.#.ffn_norm",
      ]) { $1 })

  /// The names that Falcon took over.
  static let bloomNames = [
    "transformer.word_embeddings": "token_embd", "transformer.ln_f": "output_norm",
    "lm_head": "output",
  ].merging(
    inBlocks(
      "transformer.h.#.",
      [
        "input_layernorm": "attn_norm", "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output", "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
      ])
  ) { $1 }
}
