extension FamilyDefinition {
  /// The vision transformer (ViT): an encoder of a class token and an image's patches.
  ///
  /// A block is X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), with every token seeing all others; f = F − X. X⁰
  /// has the class token as token 0, followed by the patches row by row, each a linear map of its pixels, plus
  /// learned positions.
  /// Dosovitskiy et al., arXiv 2010.11929.
  public static let vit = FamilyDefinition(
    "vit", residual: classTokenFirst, initialisation: .vit
  ) { try VisionModel(vit: $0) }

  /// The text of f for blocks of an image's tokens, including which tokens these are.
  static let classTokenFirst =
    DecoderBlock.Arrangement.sequential.residual
    + "; token 0 is the class token, the others are the patches row by row"
}

extension VisionModel {
  fileprivate init(vit file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(prefix: "vit.", alternatives: [""], probe: "embeddings.cls_token")
    let r = try EncoderReader(c, weights)
    let grid = try PatchGrid(c, patch: 16)
    let bias = try c.flag("qkv_bias", default: true)
    try c.refuseUnread()

    try self.init(
      file, r,
      embedding: Embedding(
        grid: grid,
        projection: try r.patches("vit.embeddings.patch_embeddings.projection", grid),
        classToken: try weights.numbers("vit.embeddings.cls_token", shape: [1, 1, r.width]),
        positions: try weights.numbers(
          "vit.embeddings.position_embeddings", shape: [1, 1 + grid.count, r.width])),
      blocks: try r.blocks(
        of: "vit.", .sequential,
        .bert(
          attentionNorm: "layernorm_before", projections: "attention.attention",
          mlpNorm: "layernorm_after"), bias: bias),
      norm: try r.norm("vit.layernorm"))
  }
}

extension Initialisation {
  /// The initialisation. What is added to the patches is truncated at ±2, an absolute limit and not a multiple of the
  /// deviation.
  static let vit = Initialisation(
    hasPadding: false,
    exceptions: { _, deviation in
      [
        ("position_embeddings", .normal(deviation: deviation, limit: 2)),
        ("cls_token", .normal(deviation: deviation, limit: 2)), ("mask_token", .constant(0)),
      ]
    })
}
