import Weights
import Autodiff

extension FamilyDefinition {
  /// ModernBERT: an encoder with rotary positions and gated MLPs that normalises before each half; most of its blocks
  /// attend to a window around each token. The attention of the first block has no norm, since its input has just
  /// been normalised.
  ///
  /// Warner et al., arXiv 2412.13663.
  public static let modernBERT = FamilyDefinition(
    "modernbert", residual: DecoderBlock.Arrangement.sequential.residual, gguf: .modernBERT,
    initialisation: .modernBERT
  ) { try EncoderModel(modernBERT: $0) }
}

extension EncoderModel {
  fileprivate init(modernBERT file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "model.", alternatives: [""], probe: "embeddings.tok_embeddings.weight")
    let width = try c.size("hidden_size", default: 768)
    let heads = try c.size("num_attention_heads", default: 12)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let r = EncoderReader(
      weights, layers: try c.size("num_hidden_layers", default: 22), width: width,
      feedForwardWidth: try c.size("intermediate_size", default: 1152), heads: heads,
      epsilon: try c.positive("norm_eps", default: 1e-5),
      activation: try Activation(c, "hidden_activation", default: "gelu"))
    let positions = try c.size("max_position_embeddings", default: 8192)
    let vocabulary = try c.size("vocab_size", default: 50368)
    let (isLocal, window) = try c.modernWindows(layers: r.layers)
    let rotary = { (kind: String, thetaKey: String, theta: Double) throws(ModelError) in
      try RotaryFrequencies(
        c, dimension: headDimension, defaultTheta: theta, trained: positions,
        .init(kind: kind, thetaKey: thetaKey))
    }
    let fullRotary = try rotary("full_attention", "global_rope_theta", 160_000)
    let localRotary = try rotary("sliding_attention", "local_rope_theta", 10_000)
    let hasBias = (
      norms: try c.flag("norm_bias", default: false),
      attention: try c.flag("attention_bias", default: false),
      mlp: try c.flag("mlp_bias", default: false)
    )
    let head = try MaskedHead(c)
    c.understand("is_causal")
    try c.requireWholeAttention()
    try c.refuseUnread()

    let norm = { (reader: WeightReader, name: String) in
      try reader.layerNorm(name, width: width, epsilon: r.epsilon, bias: hasBias.norms)
    }
    let words = try r.table("model.embeddings.tok_embeddings", rows: vocabulary)
    let inner = r.feedForwardWidth
    let blocks = try DecoderModel.blocks(r.layers) { l in
      let block = weights.scoped("model.layers.\(l).")
      let both = try block.linear(
        "mlp.Wi", outputs: 2 * inner, inputs: width, bias: hasBias.mlp)
      return DecoderBlock(
        mixerNorm: l == 0 ? nil : try norm(block, "attn_norm"),
        mixer: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .parts(
            of: try block.linear(
              "attn.Wqkv", outputs: 3 * width, inputs: width, bias: hasBias.attention),
            queries: width, keys: width),
          output: try block.linear(
            "attn.Wo", outputs: width, inputs: width, bias: hasBias.attention),
          rotary: isLocal[l] ? localRotary : fullRotary, isCausal: false,
          window: isLocal[l] ? window : nil),
        feedForwardNorm: try norm(block, "mlp_norm"),
        feedForward: MLPWeights(
          gate: both.outputs(0..<inner), up: both.outputs(inner..<2 * inner),
          down: try block.linear(
            "mlp.Wo", outputs: width, inputs: inner, bias: hasBias.mlp),
          activation: r.activation))
    }
    try self.init(
      file, r,
      embedding: Embedding(words: words, norm: try norm(weights, "model.embeddings.norm")),
      blocks: blocks, norm: try norm(weights, "model.final_norm"),
      head: try head.read(weights, words) { try norm(weights, $0) }, positions: positions,
      blockWord: "layers.")
  }
}

/// The settings of the head that predicts masked tokens.
private struct MaskedHead {
  let isTied, transformBias, outputBias: Bool
  let activation: Activation

  init(_ c: Configuration) throws(ModelError) {
    isTied = try c.flag("tie_word_embeddings", default: true)
    transformBias = try c.flag("classifier_bias", default: false)
    outputBias = try c.flag("decoder_bias", default: true)
    activation = try Activation(c, "classifier_activation", default: "gelu")
  }

  /// Reads the head; nil in a bare encoder, and in a classifier, whose own head has similar tensors.
  func read(
    _ weights: WeightReader, _ words: StoredMatrix, norm: (String) throws -> LayerNormWeights
  ) throws -> EncoderModel.Head? {
    guard weights.contains("head.dense.weight"),
      let output = try weights.head(
        "decoder", tied: isTied && !weights.lacksHead, to: words, bias: outputBias)
    else { return nil }
    return EncoderModel.Head(
      transform: try weights.linear(
        "head.dense", outputs: words.columns, inputs: words.columns, bias: transformBias),
      activation: activation, norm: try norm("head.norm"), output: output)
  }
}

extension Configuration {
  /// The blocks with a window, and the size of the window to one side of a token, including the token.
  fileprivate func modernWindows(
    layers: Int
  ) throws(ModelError) -> (isLocal: [Bool], window: Int) {
    let (full, local) = ("full_attention", "sliding_attention")
    let window = try size("local_attention", default: 128) / 2 + 1
    let period = try size("global_attn_every_n_layers", default: 3)
    guard let kinds = try optionalTexts("layer_types") else {
      try check(layers <= 1 << 20, "num_hidden_layers", "is more than 2²⁰")
      return ((0..<layers).map { $0 % period != 0 }, window)
    }
    try check(
      kinds.count == layers, "layer_types", "has \(kinds.count) entries for \(layers) blocks")
    try checkSupported(
      kinds.allSatisfy { $0 == full || $0 == local }, "layer_types",
      "supported are \(full) and \(local)")
    return (kinds.map { $0 == local }, window)
  }
}

extension Initialisation {
  /// The initialisation. All matrices are truncated at some multiple of their deviation; those that write to the
  /// stream, and the head's, have a smaller deviation.
  fileprivate static let modernBERT = Initialisation(
    isTied: true, hasPadding: false,
    exceptions: { file, deviation in
      let c = file.configuration
      let layers = Double(try c.size("num_hidden_layers", default: 22))
      let key = "initializer_cutoff_factor"
      let cutoff = try c.nullablePositive(key, absent: 2) ?? 3
      // Numbers outside are drawn again, so enough must lie inside.
      try c.check(cutoff >= 0.1, key, "is less than 0.1")
      let normal = { (deviation: Double) in
        Initialiser.normal(deviation: deviation, limit: cutoff * deviation)
      }
      let out = normal(deviation / (2 * layers).squareRoot())
      let width = Double(try c.size("hidden_size", default: 768))
      return [
        (".Wqkv", normal(deviation)), (".Wi", normal(deviation)), (".Wo", out),
        ("embedding", normal(deviation)), ("head.dense", out), ("decoder", out),
        // The part of the head in a GGUF file, which is not read.
        ("cls", out),
        ("classifier", normal(1 / width.squareRoot())),
      ]
    })
}

extension GGUFDialect {
  /// The dialect of the encoder; no file contains the whole head.
  fileprivate static let modernBERT = GGUFDialect(
    architecture: "modern-bert",
    names: [
      "model.embeddings.tok_embeddings": "token_embd",
      "model.embeddings.norm": "token_embd_norm", "model.final_norm": "output_norm",
    ].merging(
      inBlocks(
        "model.layers.#.",
        [
          "attn_norm": "attn_norm", "attn.Wqkv": "attn_qkv", "attn.Wo": "attn_output",
          "mlp_norm": "ffn_norm", "mlp.Wi": "ffn_up", "mlp.Wo": "ffn_down",
        ])
    ) { $1 },
    keys: [
      "norm_eps": ["attention.layer_norm_epsilon"],
      "local_attention": ["attention.sliding_window"],
      "layer_types": ["attention.sliding_window_pattern"],
      "global_rope_theta": ["rope.freq_base"], "local_rope_theta": ["rope.freq_base_swa"],
    ],
    settings: { file in
      var settings = file.layerKinds(period: 3)
      settings["global_attn_every_n_layers"] = settings.removeValue(
        forKey: "sliding_window_pattern")
      settings["norm_bias"] = .bool(file.contains("output_norm.bias"))
      return settings.merging(file.biases(mlp: "mlp_bias")) { $1 }
    })
}
