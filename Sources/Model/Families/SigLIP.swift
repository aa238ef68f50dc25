extension FamilyDefinition {
  /// SigLIP's vision tower: ViT without a class token. The head that pools its last states is not part of it.
  ///
  /// Zhai et al., arXiv 2303.15343.
  public static let siglipVision = FamilyDefinition(
    "siglip_vision_model", outerTypes: ["siglip": "siglip_vision_model"], tower: .images,
    residual: DecoderBlock.Arrangement.sequential.residual
      + "; the tokens are the patches row by row",
    initialisation: .siglip
  ) {
    try VisionModel(
      tower: $0, .init(epsilon: 1e-6, activation: "gelu_pytorch_tanh"), patch: 16,
      hasClassToken: false)
  }
}

extension Initialisation {
  /// The initialisation. Matrices are initialised after Glorot and Bengio, the patches' after LeCun: normal with
  /// deviation 1/√inputs after truncation at 2 deviations, which reduces it to 0.87962566 of the deviation drawn
  /// from. No key changes this.
  fileprivate static let siglip = Initialisation(
    hasPadding: false,
    exceptions: { file, _ in
      let c = file.configuration
      let width = Double(try c.size("hidden_size", default: 768))
      let inner = Double(try c.size("intermediate_size", default: 3072))
      let grid = try PatchGrid(c, patch: 16)
      let glorot = { (sides: Double) in Initialiser.uniform(limit: (6 / sides).squareRoot()) }
      let lecun = { (inputs: Double) in
        let deviation = 1 / inputs.squareRoot() / 0.87962566103423978
        return Initialiser.normal(deviation: deviation, limit: 2 * deviation)
      }
      let small = Initialiser.normal(deviation: 1e-6)
      return [
        ("position_embedding", .normal(deviation: 1 / width.squareRoot())),
        ("patch_embedding", lecun(Double(grid.channels * grid.patch.height * grid.patch.width))),
        (".q_proj", glorot(2 * width)), (".k_proj", glorot(2 * width)),
        (".v_proj", glorot(2 * width)), ("self_attn.out_proj", glorot(2 * width)),
        (".fc1", glorot(width + inner)), (".fc2", glorot(width + inner)),
        (".fc1.bias", small), (".fc2.bias", small),
        ("head.probe", glorot(2 * width)), ("in_proj_weight", glorot(4 * width)),
        ("in_proj_bias", .constant(0)), ("head.attention.out_proj", lecun(width)),
      ]
    })
}
