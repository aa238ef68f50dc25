import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// Granite 4: state spaces of Mamba 2 in most blocks and attention, usually without positions, in the others; a
  /// shared MLP, alone or beside a mixture of experts.
  ///
  /// X ↦ Z = X + r · mixer(norm X), F = Z + r · (Σₑ wₑ expertₑ(norm Z) + shared(norm Z)).
  public static let graniteMoEHybrid = FamilyDefinition(
    "granitemoehybrid",
    residual: "f(X) = r · mixer(norm X) + r · (Σ wₑ expertₑ(norm Z) + shared(norm Z)), Z = X + "
      + "r · mixer(norm X), the mixer a recurrence over the tokens in some blocks and attention in "
      + "others", gguf: .graniteMoEHybrid,
    initialisation: Initialisation(exceptions: { _, _ in [("A_log", .countedLogarithms)] })
  ) { try DecoderModel(graniteMoEHybrid: $0) }
}

extension DecoderModel {
  fileprivate init(graniteMoEHybrid file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    let factors = try GraniteFactors(c)
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
    // GGUF stores the factors in single precision.
    let note =
      "for f(X)ₜ as a function of xₛ the block's inputs at all other tokens are held; r = "
      + "\(Float(factors.residual))"
    try self.init(
      file, reader, norm: reader.norm("model.norm"), embeddingScale: factors.embedding,
      logitScale: 1 / factors.logitDivisor,
      note: note + (routing.map { "; " + ExpertMixture.note(chosen: $0.chosen, of: experts) } ?? "")
    ) { block, l in
      var mixer: any Mixer {
        get throws {
          guard [full, "attention"].contains(kinds(l)) else {
            return try block.weights.stateSpace(
              "mamba", space, width: s.width, activation: s.activation)
          }
          var attention = try block.attention()
          attention.scale = factors.scores
          if !rotates { attention.rotary = nil }
          return attention
        }
      }
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"), mixer: mixer,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.graniteMixture(experts, routing, shared: shared),
        residualScale: factors.residual)
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
  /// Reads `shared_mlp`, alone or with `block_sparse_moe`.
  fileprivate func graniteMixture(
    _ count: Int, _ routing: ExpertRouting?, shared width: Int
  ) throws -> any FeedForward {
    let shared =
      weights.isGGUF
      ? try mlp(routing == nil ? "mlp" : "shared_mlp", width: width) : try sharedMLP(width)
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

  private func sharedMLP(_ width: Int) throws -> MLPWeights {
    let both = try weights.linear(
      "shared_mlp.input_linear", outputs: 2 * width, inputs: settings.width, bias: false)
    return MLPWeights(
      gate: both.outputs(0..<width), up: both.outputs(width..<2 * width),
      down: try weights.linear(
        "shared_mlp.output_linear", outputs: settings.width, inputs: width, bias: false),
      activation: settings.activation)
  }
}

extension GGUFDialect {
  /// The dialect. Blocks with a state space have no key-value heads. Attention has positions unless the file says
  /// otherwise.
  fileprivate static let graniteMoEHybrid = GGUFDialect(
    architecture: "granitehybrid",
    names: decoder(
      with: recurrence("mamba").merging(graniteExperts) { $1 }.merging([
        "shared_mlp.gate_proj": "ffn_gate_shexp", "shared_mlp.up_proj": "ffn_up_shexp",
        "shared_mlp.down_proj": "ffn_down_shexp",
      ]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging(recurrenceKeys) { $1 }.merging(graniteKeys) { $1 }.merging([
      "shared_intermediate_size": ["expert_shared_feed_forward_length", "feed_forward_length"]
    ]) { $1 },
    required: essential + recurrenceSizes, pairing: .interleaved,
    settings: { file in
      let rotates = file.value("rope.scaling.finetuned")?.bool != false
      var settings = file.biases().merging(file.graniteScale) { $1 }
        .merging(file.kindsByHeads(recurrent: "linear_attention")) { $1 }
        .merging(
          file.mixerBiases(input: "mamba_proj_bias", convolution: "mamba_conv_bias")
        ) { $1 }
      settings["position_embedding_type"] = rotates ? .string("rope") : .null
      settings["num_local_experts"] = file.value("expert_count") ?? .number(.integer(0))
      if let inner = file.size("ssm.inner_size"), let width = file.size("embedding_length") {
        settings["mamba_expand"] = .number(.integer(max(inner / width, 1)))
      }
      return settings
    })
}
