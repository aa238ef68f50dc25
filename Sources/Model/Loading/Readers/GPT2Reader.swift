import Autodiff
import LinearAlgebra

/// A reader of what GPT-2 and families with its names have in common: sizes, norms and MLPs of blocks, and the
/// tensors before and after the blocks.
struct GPT2Reader {
  let weights: WeightReader
  let layers, width, heads, headDimension, feedForwardWidth, positions: Int
  let epsilon: Double
  let activation: Activation
  let isTied: Bool

  /// The reference implementation's defaults for absent keys; here those of GPT-2.
  struct Defaults {
    var layers = 12
    var width = 768
    var heads = 12
    var positions = 1024
    var activation = "gelu_new"
    var isTied = true
  }

  /// The names of the keys that differ between families, in order of preference; here those of GPT-2.
  struct Keys {
    var layers = "n_layer"
    var width = "n_embd"
    var heads = "n_head"
    var feedForwardWidth = "n_inner"
    var positions = "n_positions"
  }

  /// Reads the keys of a configuration. Throws `ModelError`.
  init(
    _ file: ModelFile, _ defaults: Defaults = Defaults(), _ keys: Keys = Keys()
  ) throws(ModelError) {
    let c = file.configuration
    // The base model's names lack the prefix.
    weights = file.weights(prefix: "transformer.", alternatives: [""], probe: "wte.weight")
    layers = try c.size(keys.layers, "num_hidden_layers", default: defaults.layers)
    width = try c.size(keys.width, "hidden_size", default: defaults.width)
    heads = try c.size(keys.heads, "num_attention_heads", default: defaults.heads)
    headDimension = try c.headDimension(width: width, heads: heads)
    feedForwardWidth = try c.size(keys.feedForwardWidth, default: 4 * width)
    positions = try c.size(
      keys.positions, "max_position_embeddings", default: defaults.positions)
    epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    activation = try Activation(c, "activation_function", default: defaults.activation)
    isTied = try c.flag("tie_word_embeddings", default: defaults.isTied)
  }

  /// Reads a norm of a block.
  func norm(_ name: String, in block: WeightReader) throws -> LayerNormWeights {
    try block.layerNorm(name, width: width, epsilon: epsilon)
  }

  /// Reads the MLP of a block, which has two maps with biases.
  func mlp(
    up: String, down: String, in block: WeightReader, transposed: Bool = false
  ) throws -> MLPWeights {
    MLPWeights(
      up: try block.linear(
        up, outputs: feedForwardWidth, inputs: width, bias: true, transposed: transposed),
      down: try block.linear(
        down, outputs: width, inputs: feedForwardWidth, bias: true, transposed: transposed),
      activation: activation)
  }
}

extension DecoderModel {
  /// Reads embedding, final norm and head and, one after another, the blocks; also a table of positions if they are
  /// learned.
  ///
  /// Throws `FileError`, `ModelError`; `ModelError.unreadTensor` if a tensor of a block was not read.
  init(
    _ file: ModelFile, _ reader: GPT2Reader, learnsPositions: Bool, keyValueHeads: Int? = nil,
    headBias: Bool = false, block: (_ weights: WeightReader, _ index: Int) throws -> DecoderBlock
  ) throws {
    let (r, model) = (reader, reader.weights.scoped("transformer."))
    let blocks = try Self.blocks(r.layers) { l in try block(model.scoped("h.\(l)."), l) }
    let tokens = try model.table("wte.weight", columns: r.width)
    var embedding = Embedding(tokens: tokens)
    if learnsPositions {
      embedding.positions = (
        try model.matrix("wpe.weight", rows: r.positions, columns: r.width), 0
      )
    }
    try self.init(
      file, r.weights, width: r.width, heads: r.heads, keyValueHeads: keyValueHeads ?? r.heads,
      feedForwardWidth: r.feedForwardWidth, positions: r.positions, embedding: embedding,
      blocks: blocks,
      head: Head(
        norm: try r.norm("ln_f", in: model),
        weights: try r.weights.head("lm_head", tied: r.isTied, to: tokens, bias: headBias)),
      blockWord: "h.")
  }
}
