import Checkpoint

extension FamilyDefinition {
  /// Cohere 2 (Command R7B, Command A, Tiny Aya): the block of Cohere; three of four blocks have a sliding window and
  /// rotary positions, the fourth sees all tokens and has no positions.
  ///
  /// F = X + attention(norm X) + mlp(norm X). Cohere Team, arXiv 2504.00698.
  public static let cohere2 = FamilyDefinition(
    "cohere2", outerTypes: ["aya_vision": "cohere2", "cohere2_vision": "cohere2"],
    residual: DecoderBlock.Arrangement.parallel.residual, gguf: .cohere2,
    initialisation: .cohere
  ) { try DecoderModel(cohere2: $0) }
}

extension DecoderModel {
  fileprivate init(cohere2 file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(cohere: c, theta: 10_000)
    let logitScale = try c.number("logit_scale", default: 0.0625)
    let window = try c.nullableSize("sliding_window", absent: 4096)
    let period = try c.size("sliding_window_pattern", default: 4)
    try c.check(
      window != nil || period == 1, "sliding_window", "is null, but most blocks need it")
    let windows = try s.windows(c, window) { ($0 + 1) % period != 0 }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.layerNorm("model.norm", bias: false), logitScale: logitScale,
      note: "blocks without a window have no positions"
    ) { block, l in
      var attention = try block.attention(window: windows(l))
      if windows(l) == nil { attention.rotary = nil }
      return try DecoderBlock(cohere: block, attention)
    }
  }
}

extension GGUFDialect {
  fileprivate static let cohere2 = GGUFDialect(
    architecture: "cohere2", names: decoder, keys: windowKeys, pairing: .interleaved,
    settings: { $0.biases().merging($0.layerKinds(period: 4)) { $1 } })
}
