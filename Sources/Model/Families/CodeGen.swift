import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// CodeGen: the block of GPT-J with queries, values and keys in one matrix, of which each of the four machines it was
  /// trained on had a part.
  ///
  /// F = X + attention(norm X) + mlp(norm X). Nijkamp et al., arXiv 2203.13474.
  public static let codeGen = FamilyDefinition(
    "codegen", initialisation: Initialisation(hasPadding: false)
  ) { try DecoderModel(codeGen: $0) }
}

extension DecoderModel {
  fileprivate init(codeGen file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("n_layer", "num_hidden_layers", default: 28)
    let width = try c.size("n_embd", "hidden_size", default: 4096)
    let heads = try c.size("n_head", "num_attention_heads", default: 16)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("n_inner", default: 4 * width)
    let positions = try c.size("n_positions", "max_position_embeddings", default: 2048)
    let rotated = try c.size("rotary_dim", default: 64)
    try c.check(
      rotated <= headDimension && rotated % 2 == 0, "rotary_dim",
      "must be an even number of a head's \(headDimension) features")
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation_function", default: "gelu_new")
    let isTied = try c.flag("tie_word_embeddings", default: false)
    let parts = 4
    try c.check(width % parts == 0, "n_embd", "is no multiple of \(parts)")
    try c.refuseUnread()

    let weights = file.gpt2Weights
    // Of each part first the queries, then the values, then the keys.
    let size = width / parts
    let rows = { (kind: Int) -> [Int] in
      (0..<parts).flatMap { part in
        let start = (3 * part + kind) * size
        return start..<start + size
      }
    }
    let blocks = try Self.blocks(layerCount) { l in
      let block = weights.scoped("transformer.h.\(l).")
      let norm = try block.layerNorm("ln_1", width: width, epsilon: epsilon)
      let linear = { (name: String, outputs: Int, inputs: Int, bias: Bool) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: bias)
      }
      return DecoderBlock(
        .parallel, mixerNorm: norm,
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .fused(
            try linear("attn.qkv_proj", 3 * width, width, false), query: rows(0), key: rows(2),
            value: rows(1)),
          output: try linear("attn.out_proj", width, width, false),
          rotary: RotaryFrequencies(dimension: rotated, theta: 10_000, scaling: .none),
          pairing: .interleaved),
        feedForwardNorm: norm,
        feedForward: MLPWeights(
          up: try linear("mlp.fc_in", feedForwardWidth, width, true),
          down: try linear("mlp.fc_out", width, feedForwardWidth, true), activation: activation))
    }
    let (embedding, head) = try weights.ends(
      width: width, positions: nil, epsilon: epsilon, tied: isTied, headBias: true)
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: feedForwardWidth, positions: positions,
      embedding: embedding, blocks: blocks, head: head, blockWord: "h.")
  }
}
