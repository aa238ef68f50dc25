import Checkpoint

extension FamilyDefinition {
  /// Qwen3.5 with experts: its blocks with mixtures of experts and a shared one in place of MLPs.
  ///
  /// X ↦ Z = X + mixer(norm X), F = Z + Σₑ wₑ expertₑ(norm Z) + σ(gate(norm Z)) shared(norm Z).
  public static let qwen3_5MoE = FamilyDefinition(
    "qwen3_5_moe", modelTypes: ["qwen3_5_moe_text"],
    outerTypes: ["qwen3_5_moe": "qwen3_5_moe_text"], residual: recurrentMixtureResidual,
    gguf: .deltaRule("qwen35moe"), initialisation: .deltaRule
  ) {
    try DecoderModel(
      deltaMixture: $0,
      .init(
        layers: 40, width: 2048, heads: 16, keyValueHeads: 2, headDimension: 256,
        positions: 32768, rotatedShare: 0.25), experts: 256, chosen: 8, isNormalised: true,
      hasExperts: { _ in true })
  }
}
