import Files
import Autodiff

extension FamilyDefinition {
  /// Nomic's BERT: rotary positions instead of learned ones, a gated MLP, and biases in norms only.
  ///
  /// Nussbaum et al., arXiv 2402.01613. Published files have the keys of GPT-2's configuration; those of the
  /// reference implementation have BERT's. Mixtures of experts (version 2) are refused, and so are options that no
  /// published checkpoint of version 1 uses.
  public static let nomicBERT = FamilyDefinition(
    "nomic_bert", residual: normedEncoder, gguf: .nomicBERT,
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try EncoderModel(nomicBERT: $0) }
}

extension EncoderModel {
  fileprivate init(nomicBERT file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "nomic_bert.", alternatives: ["", "bert."],
      probe: "embeddings.word_embeddings.weight")
    let width = try c.size("hidden_size", "n_embd", default: 768)
    let heads = try c.size("num_attention_heads", "n_head", default: 12)
    let headDimension = try c.size("head_dim", default: max(width / heads, 1))
    try c.check(
      heads * headDimension <= 1 << 31, "head_dim", "makes more than 2³¹ features of all heads")
    let r = EncoderReader(
      weights, layers: try c.size("num_hidden_layers", "n_layer", default: 12), width: width,
      feedForwardWidth: try c.size("intermediate_size", "n_inner", default: 3072), heads: heads,
      epsilon: try c.positive("layer_norm_eps", "layer_norm_epsilon", default: 1e-12),
      activation: try c.nomicActivation())
    let positions = try c.size("max_position_embeddings", "n_positions", default: 2048)
    let rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultTheta: 1000, trained: positions)
    let types = try c.size("type_vocab_size", default: 2)
    let vocabulary = try c.size("vocab_size", default: 30528)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseOtherNomic()
    c.understand("is_causal")
    try c.requireWholeAttention()
    try c.refuseUnread()

    let words = try r.table("nomic_bert.embeddings.word_embeddings", rows: vocabulary)
    let blocks = try DecoderModel.blocks(r.layers) { l in
      let block = weights.scoped("nomic_bert.encoder.layers.\(l).")
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.linear(name, outputs: outputs, inputs: inputs, bias: false)
      }
      let features = heads * headDimension
      return DecoderBlock(
        .normAfter, mixerNorm: try r.norm("norm1", in: block),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .parts(
            of: try linear("attn.Wqkv", 3 * features, width), queries: features, keys: features),
          output: try linear("attn.out_proj", width, features), rotary: rotary,
          isCausal: false),
        feedForwardNorm: try r.norm("norm2", in: block),
        feedForward: MLPWeights(
          gate: try linear("mlp.fc12", r.feedForwardWidth, width),
          up: try linear("mlp.fc11", r.feedForwardWidth, width),
          down: try linear("mlp.fc2", width, r.feedForwardWidth), activation: r.activation))
    }
    let cls = "cls.predictions."
    try self.init(
      file, r,
      embedding: Embedding(
        words: words,
        type: try r.table("nomic_bert.embeddings.token_type_embeddings", rows: types).row(0),
        norm: try r.norm("nomic_bert.emb_ln")),
      blocks: blocks,
      head: try r.head(
        transform: cls + "transform.dense", norm: cls + "transform.layer_norm",
        output: cls + "decoder", bias: cls + "bias", activation: r.activation, words: words,
        isTied: isTied),
      positions: positions, blockWord: "encoder.layers.")
  }
}

extension Configuration {
  /// The activation: `hidden_act`, or the name of the whole MLP in published files.
  fileprivate func nomicActivation() throws(ModelError) -> Activation {
    guard value(["hidden_act"]) == nil, value(["activation_function"]) != nil else {
      return try Activation(self, "hidden_act", default: "silu")
    }
    try checkSupported(
      try text("activation_function") == "swiglu", "activation_function",
      "the MLP is gated, by the name of swiglu")
    return .silu
  }

  /// Refuses further options of the code that published files were written for.
  fileprivate func refuseOtherNomic() throws(ModelError) {
    for key in [
      "prenorm", "parallel_block", "use_rms_norm", "qkv_proj_bias", "mlp_fc1_bias",
      "mlp_fc2_bias", "rotary_emb_interleaved", "causal",
    ] {
      try checkSupported(try !flag(key, default: false), key, "only false is")
    }
    for key in ["rotary_emb_scale_base", "rotary_scaling_factor"] {
      try checkSupported(value([key]) == nil, key, "angles are not scaled")
    }
    let key = "rotary_emb_fraction"
    try checkSupported(try number(key, default: 1) == 1, key, "all of a head rotates")
  }
}

extension GGUFDialect {
  fileprivate static let nomicBERT = GGUFDialect(
    architecture: "nomic-bert",
    names: [
      "nomic_bert.embeddings.word_embeddings": "token_embd",
      "nomic_bert.embeddings.token_type_embeddings": "token_types",
      "nomic_bert.emb_ln": "token_embd_norm",
    ].merging(
      inBlocks(
        "nomic_bert.encoder.layers.#.",
        [
          "attn.Wqkv": "attn_qkv", "attn.out_proj": "attn_output", "norm1": "attn_output_norm",
          "mlp.fc11": "ffn_up", "mlp.fc12": "ffn_gate", "mlp.fc2": "ffn_down",
          "norm2": "layer_output_norm",
        ])
    ) { $1 },
    settings: { file in
      var settings: [String: JSONValue] = [:]
      settings["type_vocab_size"] = file.rows("token_types.weight")
      return settings
    })
}
