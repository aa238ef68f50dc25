import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-BigCode: StarCoder, SantaCoder, and the first Granite Code models. The block of GPT-2, in which all heads mostly
  /// share one key and one value.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Li et al., arXiv 2305.06161; Ben Allal et al., arXiv 2301.03988.
  public static let gptBigCode = FamilyDefinition(
    "gpt_bigcode", gguf: .gptBigCode, initialisation: .gpt2
  ) { try DecoderModel(gptBigCode: $0) }
}

extension DecoderModel {
  fileprivate init(gptBigCode file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("n_layer", "num_hidden_layers", default: 12)
    let width = try c.size("n_embd", "hidden_size", default: 768)
    let heads = try c.size("n_head", "num_attention_heads", default: 12)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("n_inner", default: 4 * width)
    let positions = try c.size("n_positions", "max_position_embeddings", default: 1024)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation_function", default: "gelu_pytorch_tanh")
    let isScaled = try c.flag("scale_attn_weights", default: true)
    let sharesKeys = try c.flag("multi_query", default: true)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseUnread()

    let keyValueHeads = sharesKeys ? 1 : heads
    let keys = keyValueHeads * headDimension
    let weights = file.gpt2Weights
    let blocks = try Self.blocks(layerCount) { l in
      let block = weights.scoped("transformer.h.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: true)
      }
      let fused = try linear("attn.c_attn", width + 2 * keys, width)
      return DecoderBlock(
        mixerNorm: try block.layerNorm("ln_1", width: width, epsilon: epsilon),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: keyValueHeads, headDimension: headDimension,
          projection: sharesKeys
            ? .stacked(fused, width: width, keys: keys)
            : .grouped(
              fused, heads: heads, keyValueHeads: heads, headDimension: headDimension,
              in: file.format),
          output: try linear("attn.c_proj", width, width), scale: isScaled ? nil : 1),
        feedForwardNorm: try block.layerNorm("ln_2", width: width, epsilon: epsilon),
        feedForward: MLPWeights(
          up: try linear("mlp.c_fc", feedForwardWidth, width),
          down: try linear("mlp.c_proj", width, feedForwardWidth), activation: activation))
    }
    let (embedding, head) = try weights.ends(
      width: width, positions: positions, epsilon: epsilon, tied: isTied)
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: keyValueHeads,
      feedForwardWidth: feedForwardWidth, positions: positions,
      embedding: embedding, blocks: blocks, head: head, blockWord: "h.")
  }
}

extension GGUFDialect {
  /// The converter writes models of one shared key and value only.
  fileprivate static let gptBigCode = GGUFDialect(
    architecture: "starcoder", names: gpt2Names)
}
