import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// OPT: the block of GPT-2 with separate projections, or (`do_layer_norm_before` false, as in opt-350m) with the norms
  /// after the sums: Z = norm(X + attention X), F = norm′(Z + mlp Z). f is F(X) − X in this case too.
  ///
  /// The table of positions starts with two unused rows, and the embedding may be narrower than the stream.
  /// Zhang et al., arXiv 2205.01068; Galactica, Taylor et al., arXiv 2211.09085.
  public static let opt = FamilyDefinition(
    "opt", initialisation: Initialisation(key: "init_std", isTied: true, paddingToken: 1)
  ) { try DecoderModel(opt: $0) }
}

extension DecoderModel {
  fileprivate init(opt file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_hidden_layers", default: 12)
    let width = try c.size("hidden_size", default: 768)
    let heads = try c.size("num_attention_heads", default: 12)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("ffn_dim", default: 3072)
    let narrow = try c.size("word_embed_proj_dim", default: width)
    let positions = try c.size("max_position_embeddings", default: 2048)
    let activation = try Activation(c, "activation_function", default: "relu")
    let normsBefore = try c.flag("do_layer_norm_before", default: true)
    let lacksFinalNorm = try c.flag("_remove_final_layer_norm", default: false)
    let hasBias = try c.flag("enable_bias", default: true)
    let isAffine = try c.flag("layer_norm_elementwise_affine", default: true)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "model.decoder.", alternatives: ["decoder.", ""], probe: "embed_tokens.weight")
    let decoder = weights.scoped("model.decoder.")
    let norm = { (reader: WeightReader, name: String) in
      try reader.layerNorm(name, width: width, epsilon: 1e-5, affine: isAffine)
    }
    let adapter = { (name: String, outputs: Int, inputs: Int) in
      narrow == width
        ? nil : try decoder.linear(name, outputs: outputs, inputs: inputs, bias: false)
    }
    let tokens = try decoder.table("embed_tokens.weight", columns: narrow)
    let blocks = try Self.blocks(layerCount) { l in
      let block = decoder.scoped("layers.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: hasBias)
      }
      return DecoderBlock(
        normsBefore ? .sequential : .normAfter, mixerNorm: try norm(block, "self_attn_layer_norm"),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .separate(
            query: try linear("self_attn.q_proj", width, width),
            key: try linear("self_attn.k_proj", width, width),
            value: try linear("self_attn.v_proj", width, width)),
          output: try linear("self_attn.out_proj", width, width)),
        feedForwardNorm: try norm(block, "final_layer_norm"),
        feedForward: MLPWeights(
          up: try linear("fc1", feedForwardWidth, width),
          down: try linear("fc2", width, feedForwardWidth),
          activation: activation))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: feedForwardWidth, positions: positions,
      embedding: Embedding(
        tokens: tokens,
        positions: (
          try decoder.matrix("embed_positions.weight", rows: positions + 2, columns: width), 2
        ),
        projection: try adapter("project_in", width, narrow)),
      blocks: blocks,
      head: Head(
        norm: normsBefore && !lacksFinalNorm ? try norm(decoder, "final_layer_norm") : nil,
        projection: try adapter("project_out", narrow, width),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "layers.")
  }
}
