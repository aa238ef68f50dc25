extension FamilyDefinition {
  /// CLIP's vision tower: ViT with a norm before the first block; the norm after the last block applies to the class
  /// token, which is the tower's output.
  ///
  /// Radford et al., arXiv 2103.00020.
  public static let clipVision = FamilyDefinition(
    "clip_vision_model", outerTypes: ["clip": "clip_vision_model"], tower: .images,
    residual: classTokenFirst, initialisation: .clip
  ) {
    try VisionModel(
      tower: $0, .init(epsilon: 1e-5, activation: "quick_gelu"), patch: 32, hasClassToken: true)
  }
}

extension VisionModel {
  /// The tower of CLIP and, without a class token and a norm before the first block, of SigLIP.
  init(
    tower file: ModelFile, _ defaults: EncoderReader.Defaults, patch: Int, hasClassToken: Bool
  ) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "vision_model.", alternatives: [""], probe: "embeddings.patch_embedding.weight")
    let r = try EncoderReader(c, weights, defaults)
    let grid = try PatchGrid(c, patch: patch)
    try c.refuseUnread()

    let embeddings = "vision_model.embeddings."
    let tokens = grid.count + (hasClassToken ? 1 : 0)
    try self.init(
      file, r,
      embedding: Embedding(
        grid: grid,
        projection: try r.patches(embeddings + "patch_embedding", grid, bias: !hasClassToken),
        classToken: hasClassToken
          ? try weights.vector(embeddings + "class_embedding", count: r.width) : [],
        positions: try weights.numbers(
          embeddings + "position_embedding.weight", shape: [tokens, r.width]),
        norm: hasClassToken ? try r.norm("vision_model.pre_layrnorm") : nil),
      blocks: try r.blocks(of: "vision_model.", .sequential, .clip),
      norm: try r.norm("vision_model.post_layernorm"), blockWord: "encoder.layers.")
  }
}
