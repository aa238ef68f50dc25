import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-2: X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), learned positions, the head mostly the embedding.
  ///
  /// Weight matrices are stored (inputs, outputs), but in GGUF. The scores may also be divided by the number of the block.
  /// Radford et al., *Language Models are Unsupervised Multitask Learners*, 2019.
  public static let gpt2 = FamilyDefinition(
    "gpt2", gguf: .gpt2, initialisation: .gpt2
  ) { try DecoderModel(gpt2: $0) }
}

extension DecoderModel {
  fileprivate init(gpt2 file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("n_layer", "num_hidden_layers", default: 12)
    let width = try c.size("n_embd", "hidden_size", default: 768)
    let heads = try c.size("n_head", "num_attention_heads", default: 12)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("n_inner", default: 4 * width)
    let positions = try c.size("n_positions", "max_position_embeddings", default: 1024)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation_function", default: "gelu_new")
    let isScaled = try c.flag("scale_attn_weights", default: true)
    let isScaledByDepth = try c.flag("scale_attn_by_inverse_layer_idx", default: false)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseUnread()

    let weights = file.gpt2Weights
    let blocks = try Self.blocks(layerCount) { l in
      let block = weights.scoped("transformer.h.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(
          name, outputs: outputs, inputs: inputs, bias: true,
          transposed: file.format == .huggingFace)
      }
      let scale = isScaled ? 1 / Double(headDimension).squareRoot() : 1
      return DecoderBlock(
        mixerNorm: try block.layerNorm("ln_1", width: width, epsilon: epsilon),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .stacked(try linear("attn.c_attn", 3 * width, width), width: width),
          output: try linear("attn.c_proj", width, width),
          scale: isScaledByDepth ? scale / Double(l + 1) : scale),
        feedForwardNorm: try block.layerNorm("ln_2", width: width, epsilon: epsilon),
        feedForward: MLPWeights(
          up: try linear("mlp.c_fc", feedForwardWidth, width),
          down: try linear("mlp.c_proj", width, feedForwardWidth),
          activation: activation))
    }
    let (embedding, head) = try weights.ends(
      width: width, positions: positions, epsilon: epsilon, tied: isTied)
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: feedForwardWidth, positions: positions,
      embedding: embedding, blocks: blocks, head: head, blockWord: "h.")
  }
}

extension ModelFile {
  /// The names of GPT-2, which others took over; its base model has them without the prefix.
  var gpt2Weights: WeightReader {
    weights(prefix: "transformer.", alternatives: [""], probe: "wte.weight")
  }
}

extension WeightReader {
  /// Under those names: the embedding, with a table of positions if there are learned ones; final norm and head.
  func ends(
    width: Int, positions: Int?, epsilon: Double, tied: Bool, headBias: Bool = false
  ) throws -> (DecoderModel.Embedding, DecoderModel.Head) {
    let model = scoped("transformer.")
    let tokens = try model.table("wte.weight", columns: width)
    var embedding = DecoderModel.Embedding(tokens: tokens)
    if let positions {
      embedding.positions = (try model.matrix("wpe.weight", rows: positions, columns: width), 0)
    }
    let head = DecoderModel.Head(
      norm: try model.layerNorm("ln_f", width: width, epsilon: epsilon),
      weights: try self.head("lm_head", tied: tied, to: tokens, bias: headBias))
    return (embedding, head)
  }
}

extension GGUFDialect {
  /// What lies before and after GPT-2's blocks.
  static let gpt2Ends = [
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm", "lm_head": "output",
  ]

  /// What all of GPT-2's tensors are called.
  static let gpt2Names = gpt2Ends.merging(
    inBlocks(
      "transformer.h.#.",
      [
        "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
      ])
  ) { $1 }

  fileprivate static let gpt2 = GGUFDialect(architecture: "gpt2", names: gpt2Names)
}

extension Initialisation {
  /// The maps back into the stream are smaller by the root of how many of them add up: two a block.
  static let gpt2 = Initialisation(
    isTied: true, hasPadding: false,
    exceptions: { file, deviation in
      let layers = try file.configuration.size("n_layer", "num_hidden_layers", default: 12)
      return [("c_proj", .normal(deviation: deviation / (2 * Double(layers)).squareRoot()))]
    })
}
