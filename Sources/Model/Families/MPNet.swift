extension FamilyDefinition {
  /// MPNet: BERT without token types, with RoBERTa's numbering of positions and a learned bias of the scores that
  /// depends on the distance between query and key and is shared by all blocks.
  ///
  /// Song et al., arXiv 2004.09297.
  public static let mpnet = FamilyDefinition(
    "mpnet", residual: normedEncoder,
    initialisation: Initialisation(
      isTied: true, paddingToken: 1, fixesPadding: true, padsPositions: true)
  ) { try EncoderModel(mpnet: $0) }
}

extension EncoderModel {
  fileprivate init(mpnet file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "mpnet.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let r = try EncoderReader(c, weights)
    let limit = try c.size("max_position_embeddings", default: 512)
    let vocabulary = try c.size("vocab_size", default: 30527)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    // The reference uses this number of buckets and this padding token whatever the file says.
    let (used, padding, key) = (32, 1, "relative_attention_num_buckets")
    let buckets = try c.size(key, default: used)
    try c.check(buckets >= used, key, "is less than the \(used) that are used")
    try c.check(limit > padding + 1, "max_position_embeddings", "must be more than \(padding + 1)")
    try c.refuseUnread()

    let distances = try r.table(
      "mpnet.encoder.relative_attention_bias", rows: buckets, columns: r.heads)
    let bias = RelativeBias(
      (0..<used).map { distances.row($0) }, reach: 128, isCausal: false)
    let words = try r.table("mpnet.embeddings.word_embeddings", rows: vocabulary)
    try self.init(
      file, r,
      embedding: Embedding(
        words: words,
        positions: Positions(
          table: try r.table("mpnet.embeddings.position_embeddings", rows: limit),
          padding: padding),
        norm: try r.norm("mpnet.embeddings.LayerNorm")),
      blocks: try r.blocks(
        of: "mpnet.", .normAfter, .mpnet,
        attention: { $0.bias = { bias(head: $0, distance: $2 - $1) } }),
      head: try r.head(
        transform: "lm_head.dense", norm: "lm_head.layer_norm", output: "lm_head.decoder",
        bias: "lm_head.bias", activation: .gelu, words: words, isTied: isTied))
  }
}

extension EncoderReader.Names {
  fileprivate static let mpnet = Self(
    attentionNorm: "attention.LayerNorm", query: "attention.attn.q", key: "attention.attn.k",
    value: "attention.attn.v", output: "attention.attn.o", mlpNorm: "output.LayerNorm",
    up: "intermediate.dense", down: "output.dense")
}
