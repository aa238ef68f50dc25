import Files
import Checkpoint

extension FamilyDefinition {
  /// Gemma 2: Gemma with a second norm after each half, soft caps on scores and logits, and a sliding window in every other
  /// block.
  ///
  /// X ↦ Z = X + norm(attention(norm X)), F = Z + norm(mlp(norm Z)); f = F − X, the norms after the halves included.
  /// Gemma Team, arXiv 2408.00118.
  public static let gemma2 = FamilyDefinition(
    "gemma2",
    residual: "f(X) = F(X) − X = norm(attention(norm X)) + norm(mlp(norm Z)), "
      + "Z = X + norm(attention(norm X))", gguf: .gemma2, initialisation: .gemma
  ) { try DecoderModel(gemma2: $0) }
}

extension DecoderModel {
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
    try c.check(window != nil, "sliding_window", "is null, but every other block needs it")
    // The first block has a window, the second does not, and so on.
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
      return try block.gemma(attention)
    }
  }
}

extension DecoderReader {
  /// The block with this attention and a gated MLP, with norms before and after both.
  func gemma(_ attention: any Mixer) throws -> DecoderBlock {
    try DecoderBlock(
      mixerNorm: norm("input_layernorm"),
      mixer: attention,
      afterMixer: norm("post_attention_layernorm"),
      feedForwardNorm: norm("pre_feedforward_layernorm"),
      feedForward: mlp(),
      afterFeedForward: norm("post_feedforward_layernorm"))
  }
}

extension GGUFDialect {
  static let gemmaNorms = normsBehind.merging(["pre_feedforward_layernorm": "ffn_norm"]) { $1 }

  /// The dialect. No key gives the scale of the scores, which follows from the head size except in the largest model,
  /// of 46 blocks.
  fileprivate static let gemma2 = GGUFDialect(
    architecture: "gemma2",
    names: decoder(with: gemmaNorms),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: ["sliding_window": ["attention.sliding_window"]],
    settings: { file in
      file.biases().merging(file.gemmaScale(largest: 46)) { $1 }
    })
}

extension GGUFMetadata {
  /// The number whose square root Gemma divides its scores by: the head size, except in the largest model, with that
  /// many blocks, where it is width / heads.
  func gemmaScale(largest: Int) -> [String: JSONValue] {
    var scale = headDimension
    if size("block_count") == largest, let width = size("embedding_length") {
      scale = size("attention.head_count").map { width / $0 }
    }
    return scale.map { ["query_pre_attn_scalar": .number(.integer($0))] } ?? [:]
  }
}
