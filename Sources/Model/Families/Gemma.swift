import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Gemma: a block of Llama with a GELU in its gated MLP, heads of a size of their own, norms that store their gain less 1,
  /// and an embedding that enters times √width.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Gemma Team, arXiv 2403.08295.
  public static let gemma = FamilyDefinition(
    "gemma", gguf: .gemma, initialisation: .gemma
  ) { try GatedDecoder(gemma: $0) }
}

extension GatedDecoder {
  fileprivate init(gemma file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 28, width: 3072, feedForwardWidth: 24576, heads: 16, keyValueHeads: 16,
        headDimension: 256,
        positions: 8192, tiedHead: true))
    s.activation = try .ofGemma(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      embeddingScale: Double(s.width).squareRoot(), note: "X⁰ is the embedding times √width"
    ) { block, _ in
      try block.withNormsBefore(block.attention(), block.mlp())
    }
  }
}

extension Activation {
  /// The first files say `gelu` and mean its tanh approximation, by this name alone; later ones add `hidden_activation`,
  /// which then must agree.
  fileprivate static func ofGemma(_ c: Configuration) throws(ModelError) -> Activation {
    let (first, later) = ("hidden_act", "hidden_activation")
    let isLegacy = try c.optionalText(first) ?? "gelu" == "gelu"
    let activation = try isLegacy ? .geluTanh : Activation(c, first, default: "")
    guard try c.optionalText(later) != nil else { return activation }
    try c.check(
      try Activation(c, later, default: "") == activation, later,
      "is not what \"\(first)\" says")
    return activation
  }
}

extension GGUFDialect {
  /// The norms are stored as what they multiply by; so they are of Gemma 2.
  fileprivate static let gemma = GGUFDialect(
    architecture: "gemma", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    settings: { $0.biases() })
}

extension Initialisation {
  /// All norms multiply by 1, which is stored less 1 in a folder; so they do in Gemma 2.
  static let gemma = Initialisation(
    isTied: true, paddingToken: 0,
    exceptions: { file, _ in [("norm", .constant(file.format == .gguf ? 1 : 0))] })
}
