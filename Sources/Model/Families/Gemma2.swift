import Checkpoint

extension FamilyDefinition {
  /// Gemma 2: Gemma with a second norm behind each half, soft caps on scores and logits, and a sliding window in every other
  /// block.
  ///
  /// X ↦ Z = X + norm(attention(norm X)), F = Z + norm(mlp(norm Z)); f = F − X, the norms behind the halves included.
  /// Gemma Team, arXiv 2408.00118.
  public static let gemma2 = FamilyDefinition(
    "gemma2",
    residual: "f(X) = F(X) − X = norm(attention(norm X)) + norm(mlp(norm Z)), "
      + "Z = X + norm(attention(norm X))", gguf: .gemma2, initialisation: .gemma
  ) { try GatedDecoder(gemma2: $0) }
}

extension GatedDecoder {
  fileprivate init(gemma2 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 26, width: 2304, feedForwardWidth: 9216, heads: 8, keyValueHeads: 4,
        headDimension: 256,
        positions: 8192, activation: ("hidden_activation", "gelu_pytorch_tanh"), tiedHead: true))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let scale = 1 / (try c.positive("query_pre_attn_scalar", default: 256)).squareRoot()
    let scoreCap = try c.nullablePositive("attn_logit_softcapping", absent: 50)
    let logitCap = try c.nullablePositive("final_logit_softcapping", absent: 30)
    let window = try c.nullableSize("sliding_window", absent: 4096)
    try c.check(window != nil, "sliding_window", "is null, and every other block needs it")
    // The first block slides, the second does not, and so on.
    let windows = try s.windows(c, window) { $0 % 2 == 0 }
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      embeddingScale: Double(s.width).squareRoot(), logitCap: logitCap,
      note: "X⁰ is the embedding times √width"
    ) { block, l in
      var attention = try block.attention(window: windows(l))
      attention.scale = scale
      attention.softCap = scoreCap
      return Block(
        beforeAttention: try block.norm("input_layernorm"),
        afterAttention: try block.norm("post_attention_layernorm"),
        attention: attention,
        beforeMLP: try block.norm("pre_feedforward_layernorm"),
        afterMLP: try block.norm("post_feedforward_layernorm"),
        mlp: try block.mlp())
    }
  }
}

extension GGUFDialect {
  /// No key has the scale of the scores. It is that of the heads' size but in the largest model, of 46 blocks.
  fileprivate static let gemma2 = GGUFDialect(
    architecture: "gemma2",
    names: decoder(with: normsBehind.merging(["pre_feedforward_layernorm": "ffn_norm"]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: ["sliding_window": ["attention.sliding_window"]],
    settings: { file in
      var settings = file.biases()
      var size = file.headDimension
      if file.size("block_count") == 46, let width = file.size("embedding_length") {
        size = file.size("attention.head_count").map { width / $0 }
      }
      settings["query_pre_attn_scalar"] = size.map { .number(.integer($0)) }
      return settings
    })
}
