extension FamilyDefinition {
  /// The vision tower of CLIP: ViT with a norm before the first block; the norm after the last is of the class token,
  /// which is what the tower is asked for.
  ///
  /// Radford et al., arXiv 2103.00020.
  public static let clipVision = FamilyDefinition(
    "clip_vision_model", outerTypes: ["clip": "clip_vision_model"], tower: .images,
    residual: classTokenFirst, initialisation: .clip
  ) { try VisionModel(clip: $0) }
}

extension VisionModel {
  fileprivate init(clip file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "vision_model.", alternatives: [""], probe: "embeddings.patch_embedding.weight")
    let r = try EncoderReader(c, weights, .init(epsilon: 1e-5, activation: "quick_gelu"))
    let grid = try PatchGrid(c, patch: 32)
    try c.refuseUnread()

    let embeddings = "vision_model.embeddings."
    try self.init(
      file, r,
      embedding: Embedding(
        grid: grid,
        projection: try r.patches(embeddings + "patch_embedding", grid, bias: false),
        classToken: try weights.vector(embeddings + "class_embedding", count: r.width),
        positions: try weights.numbers(
          embeddings + "position_embedding.weight", shape: [1 + grid.count, r.width]),
        norm: try r.norm("vision_model.pre_layrnorm")),
      blocks: try r.blocks(of: "vision_model.", .sequential, .clip),
      norm: try r.norm("vision_model.post_layernorm"), blockWord: "encoder.layers.")
  }
}
