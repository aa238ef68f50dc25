import Autodiff
import Weights

/// A reader of what encoders of text and of images have in common: sizes, and blocks with separate projections.
struct EncoderReader {
  let weights: WeightReader
  let layers, width, feedForwardWidth, heads: Int
  let epsilon: Double
  let activation: Activation

  /// The reference implementation's defaults for absent keys; here those of BERT.
  struct Defaults {
    var layers = 12
    var width = 768
    var feedForwardWidth = 3072
    var heads = 12
    var epsilon = 1e-12
    var activation = "gelu"
  }

  /// The names of a block's tensors.
  struct Names {
    /// The prefix of the block's number, after the model's prefix.
    var blocks = "encoder.layer."
    var attentionNorm, query, key, value, output, mlpNorm, up, down: String
    /// The factors of what each half adds to the stream; nil if there are none.
    var scales: (attention: String, mlp: String)?

    /// The names shared by BERT, ViT and DINOv2.
    static func bert(
      attentionNorm: String = "attention.output.LayerNorm", projections: String = "attention.self",
      mlpNorm: String = "output.LayerNorm", up: String = "intermediate.dense",
      down: String = "output.dense", scales: (attention: String, mlp: String)? = nil
    ) -> Names {
      Names(
        attentionNorm: attentionNorm, query: "\(projections).query", key: "\(projections).key",
        value: "\(projections).value", output: "attention.output.dense", mlpNorm: mlpNorm, up: up,
        down: down, scales: scales)
    }

    /// The names of CLIP and SigLIP and, except for the norms, of other models that originated in fairseq.
    static let clip = Names(
      blocks: "encoder.layers.", attentionNorm: "layer_norm1", query: "self_attn.q_proj",
      key: "self_attn.k_proj", value: "self_attn.v_proj", output: "self_attn.out_proj",
      mlpNorm: "layer_norm2", up: "mlp.fc1", down: "mlp.fc2")
  }

  /// Creates a reader with sizes and functions that have been read already.
  init(
    _ weights: WeightReader, layers: Int, width: Int, feedForwardWidth: Int, heads: Int,
    epsilon: Double, activation: Activation
  ) {
    self.weights = weights
    (self.layers, self.width, self.heads) = (layers, width, heads)
    (self.feedForwardWidth, self.epsilon) = (feedForwardWidth, epsilon)
    self.activation = activation
  }

  /// Creates a reader from the keys of a config.json, with the reference implementation's defaults. Throws
  /// `ModelError`.
  init(
    _ c: Configuration, _ weights: WeightReader, _ defaults: Defaults = Defaults(),
    isCausal: Bool = false
  ) throws(ModelError) {
    let width = try c.size("hidden_size", default: defaults.width)
    let heads = try c.size("num_attention_heads", default: defaults.heads)
    _ = try c.headDimension(width: width, heads: heads)
    // There is no causal mask, whatever the file says.
    if !isCausal { c.understand("is_causal") }
    self.init(
      weights, layers: try c.size("num_hidden_layers", default: defaults.layers), width: width,
      feedForwardWidth: try c.size("intermediate_size", default: defaults.feedForwardWidth),
      heads: heads, epsilon: try c.positive("layer_norm_eps", default: defaults.epsilon),
      activation: try Activation(c, "hidden_act", default: defaults.activation))
  }

  /// Reads the blocks of `model` (with its dot), in which every token sees all others unless `attention` says
  /// otherwise; `bias` is whether queries, keys and values have biases, and `feedForward` reads an MLP of another
  /// kind.
  func blocks(
    of model: String, _ arrangement: DecoderBlock.Arrangement, _ names: Names = .bert(),
    bias: Bool = true, attention: (inout AttentionWeights) -> Void = { _ in },
    feedForward: ((WeightReader) throws -> any FeedForward)? = nil
  ) throws -> [DecoderBlock] {
    try DecoderModel.blocks(layers) { l in
      let block = weights.scoped("\(model)\(names.blocks)\(l).")
      let scale = { (name: String?) in
        try name.map { ScaleWeights(factors: try block.vector($0, count: width)) }
      }
      var mixer = try self.attention(block, names, bias: bias)
      attention(&mixer)
      return DecoderBlock(
        arrangement, mixerNorm: try norm(names.attentionNorm, in: block), mixer: mixer,
        afterMixer: try scale(names.scales?.attention),
        feedForwardNorm: try norm(names.mlpNorm, in: block),
        feedForward: try feedForward?(block) ?? mlp(block, names),
        afterFeedForward: try scale(names.scales?.mlp))
    }
  }

  /// Reads the attention of a block.
  func attention(
    _ block: WeightReader, _ names: Names, bias: Bool = true
  ) throws -> AttentionWeights {
    let projection = { (name: String, bias: Bool) in
      try block.linear(name, outputs: width, inputs: width, bias: bias)
    }
    return AttentionWeights(
      heads: heads, keyValueHeads: heads, headDimension: width / heads,
      projection: .separate(
        query: try projection(names.query, bias), key: try projection(names.key, bias),
        value: try projection(names.value, bias)),
      output: try projection(names.output, true), isCausal: false)
  }

  /// Reads the MLP of a block.
  func mlp(_ block: WeightReader, _ names: Names) throws -> MLPWeights {
    MLPWeights(
      up: try block.linear(names.up, outputs: feedForwardWidth, inputs: width, bias: true),
      down: try block.linear(names.down, outputs: width, inputs: feedForwardWidth, bias: true),
      activation: activation)
  }

  /// Reads a norm's `weight` and `bias`, in old files `gamma` and `beta`; by default with as many features as the
  /// stream.
  func norm(
    _ name: String, in block: WeightReader? = nil, count: Int? = nil
  ) throws -> LayerNormWeights {
    let (weights, count) = (block ?? weights, count ?? width)
    guard weights.contains("\(name).gamma") else {
      return try weights.layerNorm(name, width: count, epsilon: epsilon)
    }
    return LayerNormWeights(
      gain: try weights.vector("\(name).gamma", count: count),
      bias: try weights.vector("\(name).beta", count: count), epsilon: epsilon)
  }

  // MARK: Text

  /// Reads a table of embeddings, (rows, width of the embedding).
  func table(_ name: String, rows: Int, columns: Int? = nil) throws -> StoredMatrix {
    try weights.matrix("\(name).weight", rows: rows, columns: columns ?? width)
  }

  /// Reads the head of a masked language model: its three maps, and the output's bias if it has another name. nil in
  /// checkpoints without a head.
  func head(
    transform: String, norm: String, output: String, bias: String, activation: Activation,
    words: StoredMatrix, isTied: Bool
  ) throws -> EncoderModel.Head? {
    guard weights.contains("\(transform).weight"),
      var map = try weights.head(output, tied: isTied, to: words)
    else { return nil }
    let own = "\(output).bias"
    map.bias = try weights.vector(weights.contains(own) ? own : bias, count: words.rows)
    let count = words.columns
    return EncoderModel.Head(
      transform: try weights.linear(transform, outputs: count, inputs: width, bias: true),
      activation: activation, norm: try self.norm(norm, count: count), output: map)
  }
}
