import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// MPT: the block of GPT-2 without biases, with ALiBi instead of positions, and with queries, keys and values from
  /// one matrix, clipped at `clip_qkv`.
  ///
  /// MosaicML, *Introducing MPT-7B*, 2023. Further options of its original code (learned positions, norms of queries
  /// and keys, other norms) occur in no published checkpoint in the format of transformers and are refused.
  public static let mpt = FamilyDefinition(
    "mpt", gguf: .mpt, initialisation: Initialisation(isTied: true, hasPadding: false)
  ) { try DecoderModel(mpt: $0) }
}

extension DecoderModel {
  fileprivate init(mpt file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("n_layers", "num_hidden_layers", default: 24)
    let width = try c.size("d_model", "hidden_size", default: 2048)
    let heads = try c.size("n_heads", "num_attention_heads", default: 16)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let positions = try c.size("max_seq_len", default: 2048)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.checkSupported(
      try c.number("expansion_ratio", default: 4) == 4, "expansion_ratio", "the ratio is 4")
    try c.checkSupported(
      try c.flag("no_bias", default: true), "no_bias", "there are no biases")
    let norm = try c.text("norm_type", default: "low_precision_layernorm").lowercased()
    try c.checkSupported(
      ["low_precision_layernorm", "layernorm"].contains(norm), "norm_type", "it is layernorm")
    let attention = try c.optionalObject("attn_config")
    let clip = try attention?.optionalNumber("clip_qkv")
    let scale = try attention?.optionalNumber("softmax_scale")
    if let attention { try Self.checkAttention(attention, clip) }
    try c.refuseUnread()

    let weights = file.weights(
      prefix: "transformer.", alternatives: [""], probe: "wte.weight")
    let model = weights.scoped("transformer.")
    let tokens = try model.table("wte.weight", columns: width)
    let blocks = try Self.blocks(layerCount) { l in
      let block = model.scoped("blocks.\(l).")
      let norm = { (name: String) in
        try block.layerNorm(name, width: width, epsilon: epsilon, bias: false)
      }
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: false)
      }
      return DecoderBlock(
        mixerNorm: try norm("norm_1"),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .stacked(try linear("attn.Wqkv", 3 * width, width), width: width),
          output: try linear("attn.out_proj", width, width), scale: scale,
          clip: clip == 0 ? nil : clip, bias: ALiBi.bias(heads: heads)),
        feedForwardNorm: try norm("norm_2"),
        feedForward: MLPWeights(
          up: try linear("ffn.up_proj", 4 * width, width),
          down: try linear("ffn.down_proj", width, 4 * width), activation: .gelu))
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: heads,
      feedForwardWidth: 4 * width, positions: positions,
      embedding: Embedding(tokens: tokens), blocks: blocks,
      head: Head(
        norm: try model.layerNorm("norm_f", width: width, epsilon: epsilon, bias: false),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "blocks.")
  }
  private static func checkAttention(_ c: Configuration, _ clip: Double?) throws(ModelError) {
    try c.check((clip ?? 0) >= 0, "clip_qkv", "is negative")
    try c.checkSupported(
      try c.flag("alibi", default: true), "alibi", "there are no learned positions")
    try c.checkSupported(
      try c.number("alibi_bias_max", default: 8) == 8, "alibi_bias_max", "it is 8")
    try c.checkSupported(
      try c.text("attn_type", default: "multihead_attention") == "multihead_attention",
      "attn_type", "every head has its own keys and values")
    try c.checkSupported(
      try !c.flag("prefix_lm", default: false), "prefix_lm", "the mask is causal")
    try c.checkSupported(
      try !c.flag("qk_ln", default: false), "qk_ln", "queries and keys have no norms")
    try c.refuseUnread()
  }
}

extension GGUFDialect {
  fileprivate static let mpt = GGUFDialect(
    architecture: "mpt",
    names: [
      "transformer.wte": "token_embd", "transformer.norm_f": "output_norm", "lm_head": "output",
    ].merging(
      inBlocks(
        "transformer.blocks.#.",
        [
          "norm_1": "attn_norm", "attn.Wqkv": "attn_qkv", "attn.out_proj": "attn_output",
          "norm_2": "ffn_norm", "ffn.up_proj": "ffn_up", "ffn.down_proj": "ffn_down",
        ])
    ) { $1 },
    keys: ["max_seq_len": ["context_length"]],
    settings: { file in
      let (alibi, clip) = ("attention.max_alibi_bias", "attention.clamp_kqv")
      let slopes = file.value(alibi) ?? .number(.integer(0))
      return [
        "attn_config": .members(
          ("alibi", .bool(slopes.double != 0)), ("alibi_bias_max", slopes),
          ("clip_qkv", file.value(clip))),
        alibi: .null, clip: .null,
      ]
    })
}
