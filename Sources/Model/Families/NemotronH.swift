import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// Nemotron-H and Nemotron 3: blocks of a single half, F = X + half(norm X), which is a state space of Mamba 2, an
  /// attention without positions, an MLP without a gate, or a mixture of such MLPs with a shared one.
  ///
  /// For a block whose half acts token by token, the Jacobian from one token to another is 0.
  /// NVIDIA, arXiv 2504.03624.
  public static let nemotronH = FamilyDefinition(
    "nemotron_h",
    residual: "f(X) = half(norm X), the half a recurrence over the tokens, attention, an MLP or "
      + "Σ wₑ expertₑ + shared; MLPs and experts have no Jacobian from one token to another, and "
      + "at the site of the half that a block lacks f is 0",
    gguf: .nemotronH("nemotron_h"), .nemotronH("nemotron_h_moe"), initialisation: .nemotron
  ) { try DecoderModel(nemotronH: $0) }
}

extension DecoderModel {
  fileprivate init(nemotronH file: ModelFile) throws {
    let c = file.configuration
    let kinds = try c.nemotronKinds()
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    // Keys that the reference understands as well.
    c.understand("num_hidden_layers")
    var s = try DecoderSettings(
      c,
      .init(
        layers: kinds.count, feedForwardWidth: 21504, keyValueHeads: 8, headDimension: 128,
        positions: 4096, activation: ("mlp_hidden_act", "relu2")), epsilon: epsilon)
    s.layers = kinds.count
    // Used in training only; the model has neither.
    for key in ["attention_bias", "sliding_window"] { c.understand(key) }
    s.mlpBias = try c.flag("mlp_bias", default: false)
    let space = try StateSpaceSettings(nemotron: file, epsilon: epsilon)
    let act = try Activation(c, "mamba_hidden_act", default: "silu")
    let mixture = kinds.contains(.experts) ? try NemotronMixture(c) : nil
    let file = try file.withoutFurtherBlocks(kinds.count)
    try c.refuseUnread()
    let reader = DecoderReader(
      file.weights(
        prefix: "backbone.", alternatives: ["model.", ""], probe: "embeddings.weight"), s)
    let weights = reader.weights
    let tokens = try weights.table("backbone.embeddings.weight", columns: s.width)
    try self.init(
      file, weights, width: s.width, heads: s.heads, keyValueHeads: s.keyValueHeads,
      feedForwardWidth: s.feedForwardWidth, positions: nil, embedding: Embedding(tokens: tokens),
      blocks: Self.blocks(kinds.count) { l in
        let block = DecoderReader(weights.scoped("backbone.layers.\(l)."), s)
        let norm = try block.norm("norm")
        var mixer: (any Mixer)?
        var feedForward: (any FeedForward)?
        switch kinds[l] {
        case .recurrence:
          mixer = try block.weights.stateSpace("mixer", space, width: s.width, activation: act)
        case .attention: mixer = try block.nemotronAttention()
        case .mlp: feedForward = try block.mlp("mixer", isGated: false)
        case .experts: feedForward = try mixture?.read(block)
        }
        return DecoderBlock(
          mixerNorm: norm, mixer: mixer, feedForwardNorm: norm, feedForward: feedForward)
      },
      head: Head(
        norm: try reader.norm("backbone.norm_f"),
        // Never tied, whatever `tie_word_embeddings` says.
        weights: try weights.head("lm_head", tied: false, to: tokens)),
      residual: file.family.residual,
      note: mixture.map { ExpertMixture.note(chosen: $0.routing.chosen, of: $0.count) })
  }
}

extension Initialisation {
  fileprivate static let nemotron = Initialisation(
    hasPadding: false,
    exceptions: { file, _ in
      let c = file.configuration
      let heads = try c.size("mamba_num_heads", default: 128)
      let size = try c.size("mamba_head_dim", default: 64)
      try c.checkFeatures("mamba_head_dim", heads, size)
      let layers = Double(try c.nemotronKinds().count)
      let rescales = try c.flag("rescale_prenorm_residual", default: true)
      return [
        ("A_log", .countedLogarithms), ("dt_bias", try c.stepBiases()),
        ("e_score_correction_bias", .constant(0)),
      ]
        + (rescales
          ? [("out_proj", .layer(inputs: heads * size, times: 1 / layers.squareRoot()))] : [])
    })
}

/// The kind of a block.
private enum NemotronKind { case recurrence, attention, mlp, experts }

extension Configuration {
  /// The kinds of all blocks, from `layers_block_type` or from the letters of `hybrid_override_pattern`.
  fileprivate func nemotronKinds() throws(ModelError) -> [NemotronKind] {
    let key = "layers_block_type"
    let words: [String: NemotronKind] = [
      "linear_attention": .recurrence, "mamba": .recurrence, "full_attention": .attention,
      "attention": .attention, "mlp": .mlp, "moe": .experts,
    ]
    let letters: [Character: NemotronKind] = [
      "M": .recurrence, "*": .attention, "-": .mlp, "E": .experts,
    ]
    let pattern = "hybrid_override_pattern"
    let stated = try optionalTexts(key, "layer_types")
    let spelled = try optionalText(pattern)
    let kinds =
      stated.map { $0.map { words[$0] } } ?? spelled.map { $0.map { letters[$0] } }
      ?? [.recurrence, .experts, .attention, .mlp]
    try check(
      !kinds.contains { $0 == nil }, stated == nil ? pattern : key,
      "has an unknown kind of block; supported are linear_attention (M), full_attention (*), "
        + "mlp (-) and moe (E)")
    try check(
      !kinds.isEmpty, stated == nil ? pattern : key, "does not have an entry for every block")
    return kinds.compactMap { $0 }
  }
}

extension StateSpaceSettings {
  fileprivate init(nemotron file: ModelFile, epsilon: Double) throws {
    let c = file.configuration
    self.init(
      heads: try c.size("mamba_num_heads", default: 128),
      groups: try c.size("n_groups", "mamba_n_groups", default: 8),
      keyDimension: try c.size("ssm_state_size", default: 128),
      valueDimension: try c.size("mamba_head_dim", default: 64),
      width: try c.size("conv_kernel", "mamba_d_conv", default: 4))
    convolutionBias = try c.flag("use_conv_bias", "mamba_conv_bias", default: true)
    inputBias = try c.flag("use_bias", default: false)
    (outputBias, normEpsilon) = (inputBias, epsilon)
    // Whatever `time_step_limit` says: llama.cpp has no limits.
    let least = try c.number("time_step_min", "mamba_dt_min", default: 0.001)
    stepLimits = (file.format == .gguf ? 0 : least)...Double.infinity
    try check(c, groups: "n_groups", heads: "mamba_num_heads")
  }
}

extension DecoderReader {
  /// Reads `mixer` as an attention without positions and biases.
  fileprivate func nemotronAttention() throws -> AttentionWeights {
    let s = settings
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    var attention = attention(
      try weights.projections(
        "mixer", queries: queries, keys: keys, inputs: s.width, bias: false),
      output: try weights.linear(
        "mixer.o_proj", outputs: s.width, inputs: queries, bias: false), window: nil)
    attention.rotary = nil
    return attention
  }
}
