import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Granite 4: state spaces of Mamba 2 in most blocks and attention, mostly without positions, in the others; an MLP that
  /// all tokens share beside a mixture of experts, or alone.
  ///
  /// X ↦ Z = X + r · mixer(norm X), F = Z + r · (Σₑ wₑ expertₑ(norm Z) + shared(norm Z)).
  public static let graniteMoEHybrid = FamilyDefinition(
    "granitemoehybrid",
    residual: "f(X) = r · mixer(norm X) + r · (Σ wₑ expertₑ(norm Z) + shared(norm Z)), Z = X + "
      + "r · mixer(norm X), the mixer a recurrence over the tokens in some blocks and attention in "
      + "others",
    initialisation: Initialisation(exceptions: { _, _ in [("A_log", .countedLogarithms)] })
  ) { try DecoderModel(graniteMoEHybrid: $0) }
}

extension DecoderModel {
  fileprivate init(graniteMoEHybrid file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    let factor = { (key: String) in try c.number(key, default: 1) }
    let (scores, residual) = (try factor("attention_multiplier"), try factor("residual_multiplier"))
    let embedding = try factor("embedding_multiplier")
    let logits = try c.positive("logits_scaling", default: 1)
    let rotates = try c.optionalText("position_embedding_type") == "rope"
    let count = try c.number("num_local_experts", "num_experts", default: 8)
    let shared = try c.size("shared_intermediate_size", default: 1024)
    let hasExperts = count > 0
    let experts = hasExperts ? try c.size("num_local_experts", "num_experts", default: 8) : 0
    let routing =
      hasExperts ? ExpertRouting(chosen: try c.chosenExperts(of: experts, default: 2)) : nil
    let space = try StateSpaceSettings(granite: c, s)
    let (full, linear) = ("full_attention", "linear_attention")
    let kinds = try s.layerKinds(c, [linear, full, "mamba", "attention"]) { _ in linear }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    let note =
      "f(X)ₜ as a function of xₛ holds the block's inputs at all other tokens; r = "
      + "\(residual)"
    try self.init(
      file, reader, norm: reader.norm("model.norm"), embeddingScale: embedding,
      logitScale: 1 / logits,
      note: note + (routing.map { "; " + ExpertMixture.note(chosen: $0.chosen, of: experts) } ?? "")
    ) { block, l in
      var mixer: any Mixer {
        get throws {
          guard [full, "attention"].contains(kinds(l)) else {
            return try block.weights.stateSpace(
              "mamba", space, width: s.width, activation: s.activation)
          }
          var attention = try block.attention()
          attention.scale = scores
          if !rotates { attention.rotary = nil }
          return attention
        }
      }
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"), mixer: mixer,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.graniteMixture(experts, routing, shared: shared),
        residualScale: residual)
    }
  }
}

extension StateSpaceSettings {
  fileprivate init(granite c: Configuration, _ s: DecoderSettings) throws {
    let expansion = try c.size("mamba_expand", default: 2)
    try c.checkFeatures("mamba_expand", expansion, s.width)
    self.init(
      heads: try c.size("mamba_n_heads", default: 128),
      groups: try c.size("mamba_n_groups", default: 1),
      keyDimension: try c.size("mamba_d_state", default: 256), valueDimension: 1,
      width: try c.size("mamba_d_conv", default: 4))
    try setHeads(c, features: expansion * s.width)
    convolutionBias = try c.nullableFlag("mamba_conv_bias", absent: true)
    inputBias = try c.flag("mamba_proj_bias", default: false)
    (outputBias, normEpsilon) = (inputBias, s.epsilon)
    stepLimits = try c.stepLimits("time_step_limit")
  }
}

extension DecoderReader {
  /// `shared_mlp`, alone or with `block_sparse_moe`.
  fileprivate func graniteMixture(
    _ count: Int, _ routing: ExpertRouting?, shared width: Int
  ) throws -> any FeedForward {
    let both = try weights.linear(
      "shared_mlp.input_linear", outputs: 2 * width, inputs: settings.width, bias: false)
    let shared = MLPWeights(
      gate: both.outputs(0..<width), up: both.outputs(width..<2 * width),
      down: try weights.linear(
        "shared_mlp.output_linear", outputs: settings.width, inputs: width, bias: false),
      activation: settings.activation)
    guard let routing else { return shared }
    return ExpertMixture(
      router: try weights.linear(
        "block_sparse_moe.router.layer", outputs: count, inputs: settings.width, bias: false),
      routing: routing,
      experts: try experts(
        count, width: settings.feedForwardWidth,
        ExpertLayout(
          prefix: "block_sparse_moe", stacks: (".input_linear.weight", ".output_linear.weight"))),
      shared: shared)
  }
}
