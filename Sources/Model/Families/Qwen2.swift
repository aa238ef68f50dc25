import Checkpoint

extension FamilyDefinition {
  /// Qwen2 and Qwen2.5: a block of Llama whose queries, keys and values have biases, and whose later blocks may attend in a
  /// sliding window.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Yang et al., arXiv 2407.10671.
  public static let qwen2 = FamilyDefinition(
    "qwen2", gguf: .qwen2
  ) { try GatedDecoder(qwen2: $0) }
}

extension GatedDecoder {
  fileprivate init(qwen2 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c, .init(feedForwardWidth: 22016, keyValueHeads: 32, positions: 32768))
    s.attentionBias = true
    let windows = try s.qwenWindows(c)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, l in
      try block.withNormsBefore(block.attention(window: windows(l), outputBias: false), block.mlp())
    }
  }
}

extension DecoderSettings {
  /// The window of a block of Qwen: none without `use_sliding_window`, else from block `max_window_layers` on.
  func qwenWindows(_ c: Configuration) throws(ModelError) -> (Int) -> Int? {
    let first = try c.number("max_window_layers", default: 28)
    let window = try c.nullableSize("sliding_window", absent: 4096)
    let isUsed = try c.flag("use_sliding_window", default: false)
    return try windows(c, isUsed ? window : nil) { Double($0) >= first }
  }
}

extension GGUFDialect {
  fileprivate static let qwen2 = GGUFDialect(
    architecture: "qwen2", names: decoder, epsilon: "attention.layer_norm_rms_epsilon")
}
