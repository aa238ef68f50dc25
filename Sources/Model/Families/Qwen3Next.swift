import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Qwen3-Next: three blocks of the gated delta rule for each one of gated attention, with mixtures of experts and a
  /// shared one in place of MLPs. Some blocks may have no experts.
  ///
  /// X ↦ Z = X + mixer(norm X), F = Z + Σₑ wₑ expertₑ(norm Z) + σ(gate(norm Z)) shared(norm Z).
  /// Yang, Kautz, Hatamizadeh, arXiv 2412.06464; Qiu et al., arXiv 2505.06708.
  public static let qwen3Next = FamilyDefinition(
    "qwen3_next", residual: recurrentMixtureResidual, gguf: .deltaRule("qwen3next"),
    initialisation: .deltaRule
  ) {
    let c = $0.configuration
    return try DecoderModel(
      deltaMixture: $0,
      .init(
        layers: 48, width: 2048, feedForwardWidth: 5632, heads: 16, keyValueHeads: 2,
        headDimension: 256, positions: 32768, rotatedShare: 0.25), experts: 512, chosen: 10,
      isNormalised: c.flag("norm_topk_prob", default: true), hasExperts: c.qwenMixtures())
  }

  static let recurrentMixtureResidual =
    "f(X) = mixer(norm X) + Σ wₑ expertₑ(norm Z) + σ(gate(norm Z)) shared(norm Z), Z = X + "
    + "mixer(norm X), the mixer a recurrence over the tokens in some blocks and attention in others"
}

extension DecoderModel {
  /// Assembles Qwen3-Next, or Qwen3.5 with experts.
  init(
    deltaMixture file: ModelFile, _ defaults: DecoderSettings.Defaults, experts: Int, chosen: Int,
    isNormalised: Bool, hasExperts: (Int) -> Bool
  ) throws {
    let c = file.configuration
    var s = try DecoderSettings(c, defaults)
    let delta = try DeltaRuleSettings(c, &s)
    let count = try c.size("num_experts", "num_local_experts", default: experts)
    let inner = try c.size("moe_intermediate_size", default: 512)
    let shared = try c.size("shared_expert_intermediate_size", default: 512)
    if c.value(["intermediate_size"]) == nil { s.feedForwardWidth = inner }
    let routing = ExpertRouting(
      chosen: try c.chosenExperts(of: count, default: chosen), isNormalised: isNormalised)
    let file = try file.withoutFurtherBlocks(s.layers)
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: delta.note + "; " + ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: delta.isLinear(l) ? block.deltaRule(delta) : block.gatedAttention(),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: hasExperts(l)
          ? block.sharedMixture(of: count, width: inner, routing, shared: shared) : block.mlp())
    }
  }
}
