import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-J: F = X + attention(norm X) + mlp(norm X) with one norm, the first features of every head rotated in neighbouring
  /// pairs, and a head with a bias.
  ///
  /// Wang, Komatsuzaki, *GPT-J-6B*, 2021.
  public static let gptJ = FamilyDefinition(
    "gptj", gguf: .gptJ, initialisation: Initialisation(hasPadding: false)
  ) { try LayerNormDecoder(gptJ: $0) }
}

extension LayerNormDecoder {
  fileprivate init(gptJ file: ModelFile) throws {
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
    try c.refuseUnread()

    let weights = file.gpt2Weights
    let layers = try Self.blocks(layerCount) { l in
      let block = weights.scoped("transformer.h.\(l).")
      let norm = try block.layerNorm("ln_1", width: width, epsilon: epsilon)
      let projection = { (name: String) in
        try block.linear("attn." + name, outputs: width, inputs: width, bias: false)
      }
      return Layer(
        attentionNorm: norm,
        attention: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .separate(
            query: try projection("q_proj"), key: try projection("k_proj"),
            value: try projection("v_proj")),
          output: try projection("out_proj"),
          rotary: RotaryFrequencies(dimension: rotated, theta: 10_000, scaling: .none),
          pairing: .interleaved),
        mlpNorm: norm,
        mlp: MLPWeights(
          up: try block.linear("mlp.fc_in", outputs: feedForwardWidth, inputs: width, bias: true),
          down: try block.linear(
            "mlp.fc_out", outputs: width, inputs: feedForwardWidth, bias: true),
          activation: activation))
    }
    let (embedding, head) = try weights.ends(
      width: width, positions: nil, epsilon: epsilon, tied: isTied, headBias: true)
    try self.init(
      file, weights, arrangement: .parallel, positions: positions,
      embedding: embedding, layers: layers, head: head, blockWord: "h.")
  }
}

extension GGUFDialect {
  /// llama.cpp names the tensors but neither writes nor reads such files; ggml's description of the format has the keys, and
  /// GPT4All reads both so (gpt4all-backend/gptj.cpp, October 2023). None of them knows a size of the MLP.
  fileprivate static let gptJ = GGUFDialect(
    architecture: "gptj",
    names: gpt2Ends.merging(
      inBlocks(
        "transformer.h.#.",
        [
          "ln_1": "attn_norm", "attn.q_proj": "attn_q", "attn.k_proj": "attn_k",
          "attn.v_proj": "attn_v", "attn.out_proj": "attn_output", "mlp.fc_in": "ffn_up",
          "mlp.fc_out": "ffn_down",
        ])
    ) { $1 },
    keys: ["rotary_dim": ["rope.dimension_count"]],
    required: [
      "block_count", "context_length", "embedding_length", "attention.head_count",
      "rope.dimension_count",
    ])
}
