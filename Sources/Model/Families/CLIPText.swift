extension FamilyDefinition {
  /// CLIP's text tower: a decoder with an encoder's names, which produces one vector from a text's last state instead
  /// of predicting tokens.
  ///
  /// Radford et al., arXiv 2103.00020.
  public static let clipText = FamilyDefinition(
    "clip_text_model", outerTypes: ["clip": "clip_text_model"],
    residual: DecoderBlock.Arrangement.sequential.residual,
    initialisation: .clip
  ) { try EncoderModel(clipText: $0) }
}

extension EncoderModel {
  fileprivate init(clipText file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "text_model.", alternatives: [""], probe: "embeddings.token_embedding.weight")
    let r = try EncoderReader(c, weights, .clipText, isCausal: true)
    let limit = try c.size("max_position_embeddings", default: 77)
    let vocabulary = try c.size("vocab_size", default: 49408)
    try c.refuseUnread()

    try self.init(
      file, r,
      embedding: Embedding(
        words: try r.table("text_model.embeddings.token_embedding", rows: vocabulary),
        positions: Positions(
          table: try r.table("text_model.embeddings.position_embedding", rows: limit))),
      blocks: try r.blocks(
        of: "text_model.", .sequential, .clip, attention: { $0.isCausal = true }),
      norm: try r.norm("text_model.final_layer_norm"), head: nil, isCausal: true,
      blockWord: "encoder.layers.")
  }
}

extension EncoderReader.Defaults {
  fileprivate static let clipText = Self(
    width: 512, feedForwardWidth: 2048, heads: 8, epsilon: 1e-5, activation: "quick_gelu")
}

extension Initialisation {
  /// The initialisation of CLIP's towers: maps that start a half of a block and maps that end it have different
  /// deviations, after Radford et al., 2019.
  static let clip = Initialisation(
    key: "initializer_factor", deviation: 1, hasPadding: false,
    exceptions: { file, factor in
      let c = file.configuration
      let isText = file.modelType == "clip_text_model"
      let width = Double(try c.size("hidden_size", default: isText ? 512 : 768))
      let layers = Double(try c.size("num_hidden_layers", default: 12))
      let range = isText ? 0.02 : try c.positive("initializer_range", default: 0.02)
      let normal = { (deviation: Double) in Initialiser.normal(deviation: factor * deviation) }
      let wide = 1 / width.squareRoot()
      let deep = wide / (2 * layers).squareRoot()
      return [
        ("class_embedding", normal(wide)), ("_embedding", normal(range)),
        (".q_proj", normal(deep)), (".k_proj", normal(deep)), (".v_proj", normal(deep)),
        (".out_proj", normal(wide)), (".fc1", normal(1 / (2 * width).squareRoot())),
        (".fc2", normal(deep)), ("_projection", normal(wide)),
      ]
    })
}
