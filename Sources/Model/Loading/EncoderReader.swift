import Autodiff

/// Reads what BERT and ViT have in common: sizes, by keys of the same names, and blocks.
struct EncoderReader {
  /// What stands before the number of a block in a tensor's name.
  static let blockWords = ["encoder.layer.", "blk."]

  let weights: WeightReader
  let layers, width, feedForwardWidth, heads: Int
  let epsilon: Double
  let activation: Activation

  /// The keys of a config.json, with the defaults of the reference implementation. Throws `ModelError`.
  init(_ c: Configuration, _ weights: WeightReader) throws(ModelError) {
    self.weights = weights
    layers = try c.size("num_hidden_layers", default: 12)
    width = try c.size("hidden_size", default: 768)
    feedForwardWidth = try c.size("intermediate_size", default: 3072)
    heads = try c.size("num_attention_heads", default: 12)
    _ = try c.headDimension(width: width, heads: heads)
    epsilon = try c.positive("layer_norm_eps", default: 1e-12)
    activation = try Activation(c, "hidden_act", default: "gelu")
    // There is no mask whatever it says.
    c.understand("is_causal")
  }

  /// The blocks of `model` (with its dot), where every token sees all others; the arguments are the names in a block that
  /// the two do not share, and whether queries, keys and values have biases.
  func blocks(
    of model: String, attentionNorm: String, projections: String, mlpNorm: String,
    bias: Bool = true
  ) throws -> [LayerNormDecoder.Layer] {
    var blocks: [LayerNormDecoder.Layer] = []
    // One by one: a file that lies about their number must not make room for them all.
    for l in 0..<layers {
      let block = "\(model)encoder.layer.\(l)."
      let linear = { (name: String, outputs: Int, inputs: Int, bias: Bool) in
        try weights.linear(block + name, outputs: outputs, inputs: inputs, bias: bias)
      }
      let projection = { (name: String) in
        try linear("\(projections).\(name)", width, width, bias)
      }
      blocks.append(
        .init(
          attentionNorm: try norm(block + attentionNorm),
          attention: AttentionWeights(
            heads: heads, keyValueHeads: heads, headDimension: width / heads,
            projection: .separate(
              query: try projection("query"), key: try projection("key"),
              value: try projection("value")),
            output: try linear("attention.output.dense", width, width, true), isCausal: false),
          mlpNorm: try norm(block + mlpNorm),
          mlp: MLPWeights(
            up: try linear("intermediate.dense", feedForwardWidth, width, true),
            down: try linear("output.dense", width, feedForwardWidth, true), activation: activation)
        ))
    }
    try weights.refuseUnread(after: Self.blockWords)
    return blocks
  }

  /// A norm's `weight` and `bias`, in old files `gamma` and `beta`.
  func norm(_ name: String) throws -> LayerNormWeights {
    guard weights.contains("\(name).gamma") else {
      return try weights.layerNorm(name, width: width, epsilon: epsilon)
    }
    return LayerNormWeights(
      gain: try weights.vector("\(name).gamma", count: width),
      bias: try weights.vector("\(name).beta", count: width), epsilon: epsilon)
  }
}
