import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// Falcon in its three forms: 7b, F = X + attention(norm X) + mlp(norm X) with a single key-value head; 40b and
  /// 180b, with several key-value heads and a norm for each half; 11b, with several and a single norm. The rw models
  /// resemble BLOOM, with ALiBi and one half after the other.
  ///
  /// Almazrouei et al., arXiv 2311.16867; Penedo et al., arXiv 2306.01116. The first published files use the names
  /// RefinedWeb (40b) and RefinedWebModel (7b, rw).
  public static let falcon = FamilyDefinition(
    "falcon", modelTypes: ["falcon", "RefinedWeb", "RefinedWebModel"], gguf: .falcon,
    initialisation: Initialisation(isTied: true, hasPadding: false)
  ) { try DecoderModel(falcon: $0) }
}

extension DecoderModel {
  fileprivate init(falcon file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_hidden_layers", "n_layer", default: 32)
    let width = try c.size("n_embed", "hidden_size", default: 4544)
    let heads = try c.size("num_attention_heads", "n_head", default: 71)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("ffn_hidden_size", default: 4 * width)
    let stated = try c.size("num_kv_heads", "n_head_kv", default: heads)
    let isNew = try c.flag(
      "new_decoder_architecture", default: file.modelType == "RefinedWeb")
    let sharesKeys = try c.flag("multi_query", default: true)
    let runsParallel = try c.flag("parallel_attn", default: true)
    let norms = try c.size("num_ln_in_parallel_attn", default: isNew ? 2 : 1)
    let keyValueHeads = isNew ? stated : sharesKeys ? 1 : heads
    try c.check(heads % keyValueHeads == 0, "num_kv_heads", "does not divide the \(heads) heads")
    try c.check(
      runsParallel || !isNew, "parallel_attn", "must be true in the new decoder architecture")
    try c.check(
      norms == 1 || isNew && norms == 2, "num_ln_in_parallel_attn",
      "must be 1, or in the new decoder architecture 1 or 2")
    let trained = try c.size("max_position_embeddings", default: 2048)
    let rotary = try RotaryFrequencies(c, dimension: headDimension, trained: trained)
    let usesALiBi = try c.flag("alibi", default: false)
    let hasBias = try c.flag("bias", default: false)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation", default: "gelu")
    let isTied = try c.flag("tie_word_embeddings", default: true)
    let layout = "tensor_data_layout"
    try c.checkSupported(
      try c.text(layout, default: "jploski") == "jploski", layout, "only jploski is")
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "transformer.", alternatives: [""], probe: "word_embeddings.weight")
    let model = weights.scoped("transformer.")
    let tokens = try model.table("word_embeddings.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = model.scoped("h.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: hasBias)
      }
      let norm = { try block.layerNorm($0, width: width, epsilon: epsilon) }
      let attentionNorm = try norm(norms == 2 ? "ln_attn" : "input_layernorm")
      var mlpNorm = attentionNorm
      if norms == 2 { mlpNorm = try norm("ln_mlp") }
      if !runsParallel { mlpNorm = try norm("post_attention_layernorm") }
      return DecoderBlock(
        runsParallel ? .parallel : .sequential, mixerNorm: attentionNorm,
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
          projection: .grouped(
            try linear(
              "self_attention.query_key_value", (heads + 2 * keyValueHeads) * headDimension, width),
            heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
            in: file.format),
          output: try linear("self_attention.dense", width, width),
          rotary: usesALiBi ? nil : rotary,
          bias: usesALiBi
            ? ALiBi.roundedBias(heads: heads, scale: 1 / Double(headDimension).squareRoot()) : nil),
        feedForwardNorm: mlpNorm,
        feedForward: MLPWeights(
          up: try linear("mlp.dense_h_to_4h", feedForwardWidth, width),
          down: try linear("mlp.dense_4h_to_h", width, feedForwardWidth), activation: activation))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: keyValueHeads,
      feedForwardWidth: feedForwardWidth,
      positions: usesALiBi || rotary.isUnlimited ? nil : trained,
      embedding: Embedding(tokens: tokens), blocks: blocks,
      head: Head(
        norm: try model.layerNorm("ln_f", width: width, epsilon: epsilon),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "h.",
      note: usesALiBi
        ? "ALiBi is added to the scores once, as transformers does with its attention sdpa "
          + "(its attention eager adds it twice)" : nil)
  }
}

extension GGUFDialect {
  /// The dialect. Two norms show as one more tensor; with one norm, or one key-value head, the forms do not differ.
  fileprivate static let falcon = GGUFDialect(
    architecture: "falcon",
    names: bloomNames.merging(
      ["transformer.h.#.ln_mlp": "blk.#.attn_norm", "transformer.h.#.ln_attn": "blk.#.attn_norm_2"]
    ) { $1 },
    keys: ["num_kv_heads": ["attention.head_count_kv", "attention.head_count"]],
    settings: {
      [
        "new_decoder_architecture": .bool(true),
        "num_ln_in_parallel_attn": .number(
          .integer($0.contains("blk.0.attn_norm_2.weight") ? 2 : 1)),
      ]
    })
}
