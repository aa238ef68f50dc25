import Checkpoint

extension FamilyDefinition {
  /// Llama and models of the same architecture: Llama 2 and 3, CodeLlama, Vicuna, Orca, SmolLM2, Mistral, Ministral
  /// 8B.
  ///
  /// A block is X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), with RMSNorm, rotary embedding, grouped-query
  /// attention (in a sliding window for Mistral) and a gated MLP. f = F − X is the sum of both halves.
  /// Touvron et al., arXiv 2302.13971; Jiang et al., arXiv 2310.06825.
  public static let llama = FamilyDefinition(
    "llama", modelTypes: ["llama", "mistral", "ministral"],
    outerTypes: [
      "mistral3": "mistral", "llava": "llama", "llava_next": "llama", "vipllava": "llama",
      "idefics2": "mistral", "idefics3": "llama", "smolvlm": "llama", "voxtral": "llama",
    ], gguf: .llama
  ) { try DecoderModel(llama: $0) }
}

extension DecoderModel {
  fileprivate init(llama file: ModelFile) throws {
    let c = file.configuration
    let isMinistral = file.modelType == "ministral"
    let isMistral = isMinistral || file.modelType == "mistral"
    var s = try DecoderSettings(
      c, isMistral ? .init(feedForwardWidth: 14336, keyValueHeads: 8, positions: 131_072) : .init())
    if !isMistral {
      s.attentionBias = try c.flag("attention_bias", default: false)
      s.mlpBias = try c.flag("mlp_bias", default: false)
    }
    // In GGUF both architectures are called llama.
    let slides = isMistral || file.format == .gguf
    let window =
      slides ? try c.nullableSize("sliding_window", absent: isMistral ? 4096 : nil) : nil
    // All blocks of Mistral have a window; of Ministral, those that the file names.
    let windows = isMinistral ? try s.windows(c, window) { _ in true } : { _ in window }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "the block's input is not normalised"
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: windows(l)),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension GGUFDialect {
  fileprivate static let llama = GGUFDialect(
    architecture: "llama", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    keys: ["sliding_window": ["attention.sliding_window"]], pairing: .interleaved,
    claims: { !$0.isMixture },
    settings: { $0.biases(mlp: "mlp_bias") })
}
