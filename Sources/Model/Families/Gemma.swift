import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Gemma: a block of Llama with GELU in its gated MLP, an independent head size, norms that store their gains minus
  /// 1, and an embedding multiplied by √width.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Gemma Team, arXiv 2403.08295.
  public static let gemma = FamilyDefinition(
    "gemma", gguf: .gemma, initialisation: .gemma
  ) { try DecoderModel(gemma: $0) }
}

extension DecoderModel {
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
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension Activation {
  /// Gemma's activation. The first files say `gelu` and mean its tanh approximation, only under this key; later ones
  /// add `hidden_activation`, which must then agree.
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
  /// The dialect, in which norms store their full gains; Gemma 2's do as well.
  fileprivate static let gemma = GGUFDialect(
    architecture: "gemma", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    settings: { $0.biases() })
}

extension Initialisation {
  /// The initialisation, in which all norms have a gain of 1, stored minus 1 in a folder; Gemma 2's is the same.
  static let gemma = Initialisation(
    isTied: true, paddingToken: 0,
    exceptions: { file, _ in [("norm", .constant(file.format == .gguf ? 1 : 0))] })
}
