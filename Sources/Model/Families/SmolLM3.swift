import Checkpoint

extension FamilyDefinition {
  /// SmolLM3: a block of Llama, in which every fourth block does not rotate its queries and keys.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Bakouch et al., "SmolLM3: smol, multilingual, long-context
  /// reasoner", 2025; Yang et al., arXiv 2501.18795.
  public static let smolLM3 = FamilyDefinition(
    "smollm3", gguf: .smolLM3, initialisation: Initialisation(isTied: true, paddingToken: 128_004)
  ) { try DecoderModel(smolLM3: $0) }
}

extension DecoderModel {
  fileprivate init(smolLM3 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 36, width: 2048, heads: 16, keyValueHeads: 4, positions: 32768,
        theta: 2_000_000, tiedHead: true))
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    let rotates = try s.rotatedLayers(c)
    let window = try c.optionalSize("sliding_window")
    let isUsed = try c.flag("use_sliding_window", default: false)
    let windows = try s.windows(c, window) { isUsed && !rotates($0) }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, l in
      var attention = try block.attention(window: windows(l))
      if !rotates(l) { attention.rotary = nil }
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension DecoderSettings {
  /// The blocks that rotate their queries and keys: those for which `no_rope_layers` is 1 (sic) or, without it, all
  /// but every `no_rope_layer_interval`-th. Throws `ModelError`.
  public func rotatedLayers(_ c: Configuration) throws(ModelError) -> (Int) -> Bool {
    let period = try c.size("no_rope_layer_interval", default: 4)
    guard c.value(["no_rope_layers"]) != nil else { return { ($0 + 1) % period != 0 } }
    let flags = try c.numbers("no_rope_layers")
    try c.check(
      flags.count >= layers, "no_rope_layers", "has \(flags.count) entries for \(layers) blocks")
    return { flags[$0] != 0 }
  }
}

extension GGUFDialect {
  fileprivate static let smolLM3 = GGUFDialect(
    architecture: "smollm3", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    pairing: .interleaved, settings: { $0.biases(mlp: "mlp_bias") })
}
