import Checkpoint
import Files

extension FamilyDefinition {
  /// Granite 3 and the dense models of Granite 4: the block of Llama with factors for the embedding, the scores, the
  /// logits, and what each half adds to the stream.
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
    let factors = try GraniteFactors(c)
    // The key occurs in no config.json. In GGUF, models without positions set it.
    let rotates = "rope.scaling.finetuned"
    try c.checkSupported(
      try c.flag(rotates, default: true), rotates, "this family rotates queries and keys")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"), embeddingScale: factors.embedding,
      logitScale: 1 / factors.logitDivisor,
      note: factors.note
    ) { block, _ in
      var attention = try block.attention()
      attention.scale = factors.scores
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: try block.mlp(), residualScale: factors.residual)
    }
  }
}

/// The factors of Granite's halves, and its other factors and divisors.
struct GraniteFactors {
  let embedding, scores, residual, logitDivisor: Double

  /// Reads the factors. Throws `ModelError`.
  init(_ c: Configuration) throws(ModelError) {
    embedding = try c.number("embedding_multiplier", default: 1)
    scores = try c.number("attention_multiplier", default: 1)
    residual = try c.number("residual_multiplier", default: 1)
    logitDivisor = try c.number("logits_scaling", default: 1)
    try c.check(logitDivisor != 0, "logits_scaling", "is 0, but logits are divided by it")
  }

  /// A description of the factors for readers; GGUF stores them in single precision.
  var note: String {
    "r is \(Float(residual)), and X⁰ is the embedding times \(Float(embedding))"
  }
}

extension GGUFDialect {
  fileprivate static let granite = GGUFDialect(
    architecture: "granite", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    keys: graniteKeys, pairing: .interleaved,
    settings: { $0.biases(mlp: "mlp_bias").merging($0.graniteScale) { $1 } })

  /// The keys of the factors of Granite's models.
  static let graniteKeys = [
    "embedding_multiplier": ["embedding_scale"], "residual_multiplier": ["residual_scale"],
    "attention_multiplier": ["attention.scale"], "logits_scaling": ["logit_scale"],
  ]
}

extension GGUFMetadata {
  /// The scale of the scores; if absent or 0, the default.
  var graniteScale: [String: JSONValue] {
    guard (value("attention.scale")?.double ?? 0) == 0, let size = headDimension else { return [:] }
    return ["attention_multiplier": .number(.real(1 / Double(size).squareRoot()))]
  }
}
