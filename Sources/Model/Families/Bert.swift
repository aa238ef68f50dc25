import Files

extension FamilyDefinition {
  /// BERT: an encoder whose blocks normalise after each sum instead of before each half.
  ///
  /// A block is X ↦ Z = norm(X + attention X), F = norm(Z + mlp Z), with every token seeing all others. f = F − X,
  /// although X passes through no part of the block unchanged; the attention half is Z − X, that of the MLP F − Z. X⁰
  /// is the normalised sum of the embeddings of words, positions and the first token type. The last block ends in its
  /// own norm and no final norm follows, so its Jacobian after the final norm is the plain one.
  /// Devlin et al., arXiv 1810.04805.
  public static let bert = FamilyDefinition(
    "bert", residual: normedEncoder, gguf: .bert,
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try EncoderModel(bert: $0) }

  /// The text of f for encoders that normalise after each sum.
  static let normedEncoder =
    DecoderBlock.Arrangement.normAfter.residual
    + "; no norm follows the last block, so the last block normed is the same as residual"
}

extension EncoderModel {
  fileprivate init(bert file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "bert.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let r = try EncoderReader(c, weights)
    let limit = try c.size("max_position_embeddings", default: 512)
    let types = try c.size("type_vocab_size", default: 2)
    let vocabulary = try c.size("vocab_size", default: 30522)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.requireAbsolutePositions()
    try c.requireWholeAttention()
    try c.refuseUnread()

    let words = try r.table("bert.embeddings.word_embeddings", rows: vocabulary)
    let (cls, bias) = ("cls.predictions.", "cls.predictions.bias")
    try self.init(
      file, r,
      embedding: Embedding(
        words: words,
        positions: Positions(
          table: try r.table("bert.embeddings.position_embeddings", rows: limit)),
        type: try r.table("bert.embeddings.token_type_embeddings", rows: types).row(0),
        norm: try r.norm("bert.embeddings.LayerNorm")),
      blocks: try r.blocks(of: "bert.", .normAfter),
      head: try r.head(
        transform: cls + "transform.dense", norm: cls + "transform.LayerNorm",
        output: cls + "decoder", bias: bias, activation: r.activation, words: words,
        isTied: isTied))
  }
}

extension Configuration {
  /// Checks that attention is bidirectional, which the GGUF file of an encoder states.
  func requireWholeAttention() throws(ModelError) {
    let key = "attention.causal"
    try checkSupported(
      try !flag(key, default: false), key, "every token sees all others")
  }

  /// Checks that positions are absolute: the reference implementation dropped relative ones.
  func requireAbsolutePositions() throws(ModelError) {
    let key = "position_embedding_type"
    try checkSupported(
      try text(key, default: "absolute") == "absolute", key, "only absolute ones are")
  }
}

extension GGUFDialect {
  /// The names and keys of the encoder; heads are not converted.
  fileprivate static let bert = GGUFDialect(
    architecture: "bert",
    names: [
      "bert.embeddings.word_embeddings": "token_embd",
      "bert.embeddings.position_embeddings": "position_embd",
      "bert.embeddings.token_type_embeddings": "token_types",
      "bert.embeddings.LayerNorm": "token_embd_norm",
    ].merging(
      inBlocks(
        "bert.encoder.layer.#.",
        [
          "attention.self.query": "attn_q", "attention.self.key": "attn_k",
          "attention.self.value": "attn_v", "attention.output.dense": "attn_output",
          "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
          "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
        ])
    ) { $1 },
    settings: { file in
      var settings: [String: JSONValue] = [:]
      settings["type_vocab_size"] = file.rows("token_types.weight")
      return settings
    })
}
