import Checkpoint
import Files

extension FamilyDefinition {
  /// Granite 3 and the dense models of Granite 4: the block of Llama with factors of its own for the embedding, the scores,
  /// the logits, and for what each half adds to the stream.
  ///
  /// X ↦ Z = X + r attention(norm X), F = Z + r mlp(norm Z), with r of about 0.2. Granite Team, *Granite 3.0 Language
  /// Models*, 2024; Shen et al., arXiv 2408.13359.
  public static let granite = FamilyDefinition(
    "granite", outerTypes: ["granite_speech": "granite"],
    residual: "f(X) = r attention(norm X) + r mlp(norm Z), Z = X + r attention(norm X)",
    gguf: .granite
  ) { try DecoderModel(granite: $0) }
}

extension DecoderModel {
  fileprivate init(granite file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    let embeddingScale = try c.number("embedding_multiplier", default: 1)
    let scoreScale = try c.number("attention_multiplier", default: 1)
    let residualScale = try c.number("residual_multiplier", default: 1)
    let logitDivisor = try c.number("logits_scaling", default: 1)
    try c.check(logitDivisor != 0, "logits_scaling", "is 0, and logits are divided by it")
    // No config.json has the key. In GGUF, models without positions say so by it.
    let rotates = "rope.scaling.finetuned"
    try c.checkSupported(
      try c.flag(rotates, default: true), rotates, "this family rotates queries and keys")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    // GGUF has the factors in single precision.
    try self.init(
      file, reader, norm: reader.norm("model.norm"), embeddingScale: embeddingScale,
      logitScale: 1 / logitDivisor,
      note: "r is \(Float(residualScale)), and X⁰ is the embedding times \(Float(embeddingScale))"
    ) { block, _ in
      var attention = try block.attention()
      attention.scale = scoreScale
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: try block.mlp(), residualScale: residualScale)
    }
  }
}

extension GGUFDialect {
  fileprivate static let granite = GGUFDialect(
    architecture: "granite", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    keys: graniteKeys, pairing: .interleaved,
    settings: { $0.biases(mlp: "mlp_bias").merging($0.graniteScale) { $1 } })

  /// Where the factors of Granite's models stand.
  static let graniteKeys = [
    "embedding_multiplier": ["embedding_scale"], "residual_multiplier": ["residual_scale"],
    "attention_multiplier": ["attention.scale"], "logits_scaling": ["logit_scale"],
  ]
}

extension GGUFMetadata {
  /// Without a scale of the scores, or with 0, it is the usual one.
  var graniteScale: [String: JSONValue] {
    guard (value("attention.scale")?.double ?? 0) == 0, let size = headDimension else { return [:] }
    return ["attention_multiplier": .number(.real(1 / Double(size).squareRoot()))]
  }
}
