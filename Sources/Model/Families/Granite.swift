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
    let factors = try GraniteFactors(c)
    // No config.json has the key. In GGUF, models without positions say so by it.
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

/// The factors of Granite's halves, and what else it multiplies or divides by.
struct GraniteFactors {
  let embedding, scores, residual, logitDivisor: Double

  /// Throws `ModelError`.
  init(_ c: Configuration) throws(ModelError) {
    embedding = try c.number("embedding_multiplier", default: 1)
    scores = try c.number("attention_multiplier", default: 1)
    residual = try c.number("residual_multiplier", default: 1)
    logitDivisor = try c.number("logits_scaling", default: 1)
    try c.check(logitDivisor != 0, "logits_scaling", "is 0, and logits are divided by it")
  }

  /// What they are, for people; GGUF has them in single precision.
  var note: String {
    "r is \(Float(residual)), and X⁰ is the embedding times \(Float(embedding))"
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
