import Weights

extension FamilyDefinition {
  /// ELECTRA, generator or discriminator: BERT with embeddings that may be narrower than the stream and are mapped to
  /// it after they are normalised.
  ///
  /// Clark et al., arXiv 2003.10555. Only the generator predicts tokens.
  public static let electra = FamilyDefinition(
    "electra", residual: normedEncoder,
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try EncoderModel(electra: $0) }
}

extension EncoderModel {
  fileprivate init(electra file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "electra.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let r = try EncoderReader(
      c, weights, .init(width: 256, feedForwardWidth: 1024, heads: 4))
    let size = try c.size("embedding_size", default: 128)
    let limit = try c.size("max_position_embeddings", default: 512)
    let types = try c.size("type_vocab_size", default: 2)
    let vocabulary = try c.size("vocab_size", default: 30522)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.requireAbsolutePositions()
    try c.refuseUnread()

    let table = { (name: String, rows: Int) in
      try r.table("electra.embeddings.\(name)_embeddings", rows: rows, columns: size)
    }
    let words = try table("word", vocabulary)
    try self.init(
      file, r,
      embedding: Embedding(
        words: words, positions: Positions(table: try table("position", limit)),
        type: try table("token_type", types).row(0),
        norm: try r.norm("electra.embeddings.LayerNorm", count: size),
        projection: size == r.width
          ? nil
          : try weights.linear(
            "electra.embeddings_project", outputs: r.width, inputs: size, bias: true)),
      blocks: try r.blocks(of: "electra.", .normAfter),
      head: try r.head(
        transform: "generator_predictions.dense", norm: "generator_predictions.LayerNorm",
        output: "generator_lm_head", bias: "generator_lm_head.bias", activation: .gelu,
        words: words, isTied: isTied))
  }
}
