extension FamilyDefinition {
  /// RoBERTa, and XLM-RoBERTa, which is the same: BERT whose positions are counted from after the padding token's id,
  /// and whose padding has a position of its own.
  ///
  /// Liu et al., arXiv 1907.11692; Conneau et al., arXiv 1911.02116. llama.cpp writes both as BERT, without the
  /// positions that no token has.
  public static let roberta = FamilyDefinition(
    "roberta", modelTypes: ["roberta", "xlm-roberta"], residual: normedEncoder,
    initialisation: Initialisation(isTied: true, paddingToken: 1, padsPositions: true)
  ) { try EncoderModel(roberta: $0) }
}

extension EncoderModel {
  fileprivate init(roberta file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "roberta.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let r = try EncoderReader(c, weights)
    let limit = try c.size("max_position_embeddings", default: 512)
    let types = try c.size("type_vocab_size", default: 2)
    let vocabulary = try c.size(
      "vocab_size", default: file.modelType == "roberta" ? 50265 : 30522)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    let padding = try c.positionPadding(of: limit)
    try c.requireAbsolutePositions()
    try c.refuseUnread()

    let words = try r.table("roberta.embeddings.word_embeddings", rows: vocabulary)
    try self.init(
      file, r,
      embedding: Embedding(
        words: words,
        positions: Positions(
          table: try r.table("roberta.embeddings.position_embeddings", rows: limit),
          padding: padding),
        type: try r.table("roberta.embeddings.token_type_embeddings", rows: types).row(0),
        norm: try r.norm("roberta.embeddings.LayerNorm")),
      blocks: try r.blocks(of: "roberta.", .normAfter),
      head: try r.head(
        transform: "lm_head.dense", norm: "lm_head.layer_norm", output: "lm_head.decoder",
        bias: "lm_head.bias", activation: .gelu, words: words, isTied: isTied))
  }
}

extension Configuration {
  /// The padding token that positions are counted from, which must leave positions for other tokens. Throws
  /// `ModelError.badKey`.
  fileprivate func positionPadding(of limit: Int) throws(ModelError) -> Int {
    let padding = try optionalID("pad_token_id") ?? 1
    try check(
      padding < limit - 1, "pad_token_id", "leaves none of the \(limit) positions for other tokens")
    return padding
  }
}
