import Checkpoint

extension FamilyDefinition {
  /// Nemotron 3 and 4, Minitron: LayerNorms that store their gains minus 1, an MLP with a squared ReLU and no gate,
  /// and partly rotated heads.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Parmar et al., arXiv 2402.16819; Muralidharan et al.,
  /// arXiv 2407.14679.
  public static let nemotron = FamilyDefinition(
    "nemotron", gguf: .nemotron, initialisation: .nemotron
  ) { try DecoderModel(nemotron: $0) }
}

extension DecoderModel {
  fileprivate init(nemotron file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        width: 6144, feedForwardWidth: 24576, heads: 48, positions: 4096,
        activation: ("hidden_act", "relu2"), rotatedShare: 0.5),
      epsilon: try c.positive("norm_eps", default: 1e-5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(file, reader, norm: reader.layerNorm("model.norm")) { block, _ in
      try DecoderBlock(
        mixerNorm: block.layerNorm("input_layernorm"), mixer: block.attention(),
        feedForwardNorm: block.layerNorm("post_attention_layernorm"),
        feedForward: block.mlp(isGated: false))
    }
  }
}

extension GGUFDialect {
  /// The dialect, in which norms store their full gains.
  fileprivate static let nemotron = GGUFDialect(
    architecture: "nemotron", names: decoder,
    keys: ["norm_eps": ["attention.layer_norm_epsilon"]],
    settings: { $0.biases(mlp: "mlp_bias") })
}

extension Initialisation {
  /// The initialisation, in which all norms have a gain of 2, stored minus 1 in a folder.
  fileprivate static let nemotron = Initialisation(
    deviation: 0.0134,
    exceptions: { file, _ in [("norm", .constant(file.format == .gguf ? 2 : 1))] })
}
