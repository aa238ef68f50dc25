import Checkpoint

extension FamilyDefinition {
  /// Qwen2 and Qwen2.5: a block of Llama with biases of queries, keys and values, in which later blocks may have a
  /// sliding window; on its own, or as the text model of Qwen2-VL and Qwen2.5-VL, in which the three positions of a
  /// token coincide for text.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Yang et al., arXiv 2407.10671.
  public static let qwen2 = FamilyDefinition(
    "qwen2", modelTypes: ["qwen2", "qwen2_vl_text", "qwen2_5_vl_text"],
    outerTypes: [
      "qwen2_vl": "qwen2_vl_text", "qwen2_5_vl": "qwen2_5_vl_text", "llava_onevision": "qwen2",
      "internvl": "qwen2", "qwen2_audio": "qwen2",
    ], gguf: .qwen2
  ) { try DecoderModel(qwen2: $0) }
}

extension DecoderModel {
  fileprivate init(qwen2 file: ModelFile) throws {
    let c = file.configuration
    let isText = file.modelType == "qwen2" || file.format == .gguf
    var s = try DecoderSettings(
      c,
      isText
        ? .init(feedForwardWidth: 22016, keyValueHeads: 32, positions: 32768)
        : .init(
          layers: 80, width: 8192, feedForwardWidth: 29568, heads: 64, keyValueHeads: 8,
          positions: 32768, epsilon: 1e-5, theta: 1_000_000))
    s.attentionBias = true
    let windows = try s.qwenWindows(c, from: isText ? 28 : 80)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: windows(l), outputBias: false),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension DecoderSettings {
  /// The window of each block of Qwen: none without `use_sliding_window`, otherwise from block `max_window_layers`
  /// on.
  func qwenWindows(
    _ c: Configuration, from block: Double = 28
  ) throws(ModelError) -> (Int) -> Int? {
    let first = try c.number("max_window_layers", default: block)
    let window = try c.nullableSize("sliding_window", absent: 4096)
    let isUsed = try c.flag("use_sliding_window", default: false)
    return try windows(c, isUsed ? window : nil) { Double($0) >= first }
  }
}

extension GGUFDialect {
  fileprivate static let qwen2 = GGUFDialect(
    architecture: "qwen2", names: decoder, epsilon: "attention.layer_norm_rms_epsilon")
}
