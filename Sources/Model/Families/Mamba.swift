import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// Mamba: blocks that consist of a selective state space only, F = X + mixer(norm X); Mamba 2: the same with one
  /// rate and step per head and a norm after the gate.
  ///
  /// f(X)ₜ depends on xₛ through the state and, within the width of the convolution, directly; there is no MLP.
  /// Gu, Dao, arXiv 2312.00752; Dao, Gu, arXiv 2405.21060.
  public static let mamba = FamilyDefinition(
    "mamba", modelTypes: ["mamba", "mamba2"],
    residual:
      "f(X) = mixer(norm X), the mixer a recurrence over the tokens; no MLP follows, and at "
      + "the site mlp f is 0",
    gguf: .mamba, .mamba2, initialisation: .mamba
  ) {
    $0.modelType == "mamba" ? try DecoderModel(mamba: $0) : try DecoderModel(mamba2: $0)
  }
}

extension DecoderModel {
  fileprivate init(mamba file: ModelFile) throws {
    let c = file.configuration
    let (layers, width) = (
      try c.size("num_hidden_layers", default: 32), try c.size("hidden_size", default: 768)
    )
    let inner = try c.expandedWidth(width)
    let state = try c.size("state_size", default: 16)
    let kernel = try c.size("conv_kernel", default: 4)
    let rank = try c.timeStepRank(width)
    let bias = try c.flag("use_bias", default: false)
    let convolutionBias = try c.flag("use_conv_bias", default: true)
    let activation = try Activation(c, "hidden_act", default: "silu")
    try c.checkFeatures("state_size", inner, state)
    try self.init(
      recurrent: file, layers: layers, width: width, heads: inner, groups: 1, inner: inner,
      tied: true
    ) { block, epsilon in
      let part = { (name: String, outputs: Int, inputs: Int, bias: Bool) in
        try block.linear("mixer.\(name)", outputs: outputs, inputs: inputs, bias: bias)
      }
      let both = try part("in_proj", 2 * inner, width, bias)
      return SelectiveScanWeights(
        recurrence: RecurrenceSettings(
          heads: inner, groups: 1, keyDimension: state, valueDimension: 1,
          rates: try block.rates("mixer.A_log", shape: [inner, state])),
        input: both.outputs(0..<inner), gate: both.outputs(inner..<2 * inner),
        convolution: try block.convolution(
          "mixer.conv1d", features: inner, width: kernel, bias: convolutionBias),
        activation: activation, selection: try part("x_proj", rank + 2 * state, inner, false),
        step: try part("dt_proj", inner, rank, true),
        skip: try block.vector("mixer.D", count: inner),
        output: try part("out_proj", width, inner, bias))
    }
  }

  fileprivate init(mamba2 file: ModelFile) throws {
    let c = file.configuration
    let (layers, width) = (
      try c.size("num_hidden_layers", default: 64), try c.size("hidden_size", default: 4096)
    )
    var s = StateSpaceSettings(
      heads: try c.size("num_heads", default: 128), groups: try c.size("n_groups", default: 8),
      keyDimension: try c.size("state_size", default: 128),
      valueDimension: try c.size("head_dim", default: 64),
      width: try c.size("conv_kernel", default: 4))
    s.convolutionBias = try c.flag("use_conv_bias", default: true)
    s.inputBias = try c.flag("use_bias", default: false)
    s.outputBias = s.inputBias
    s.stepLimits = try c.stepLimits("time_step_limit")
    try s.check(c, groups: "n_groups", heads: "num_heads")
    try c.check(
      try c.expandedWidth(width) == s.features, "expand",
      "times the width is not the \(s.features) features of all heads")
    let activation = try Activation(c, "hidden_act", default: "silu")
    try self.init(
      recurrent: file, layers: layers, width: width, heads: s.heads, groups: s.groups,
      inner: s.features, tied: false
    ) { block, epsilon in
      var settings = s
      settings.normEpsilon = epsilon
      return try block.stateSpace("mixer", settings, width: width, activation: activation)
    }
  }

  /// Assembles embedding, blocks of a norm and a mixer, the final norm and the head, under the names of Mamba.
  private init(
    recurrent file: ModelFile, layers: Int, width: Int, heads: Int, groups: Int, inner: Int,
    tied: Bool, mixer: (WeightReader, _ epsilon: Double) throws -> any Mixer
  ) throws {
    let c = file.configuration
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let isTied = try c.flag("tie_word_embeddings", default: tied)
    try c.refuseUnread()
    let weights = file.weights(
      prefix: "backbone.", alternatives: ["", "model."], probe: "norm_f.weight")
    // The name in the first published files.
    let older = "backbone.embedding.weight"
    let tokens = try weights.table(
      weights.contains(older) ? older : "backbone.embeddings.weight", columns: width)
    let norm = { (reader: WeightReader, name: String) in
      RMSNormWeights(gain: try reader.vector("\(name).weight", count: width), epsilon: epsilon)
    }
    try self.init(
      file, weights, width: width, heads: heads, keyValueHeads: groups, feedForwardWidth: inner,
      positions: nil, embedding: Embedding(tokens: tokens),
      blocks: Self.blocks(layers) { l in
        let block = weights.scoped("backbone.layers.\(l).")
        return DecoderBlock(
          mixerNorm: try norm(block, "norm"), mixer: try mixer(block, epsilon), feedForward: nil)
      },
      head: Head(
        norm: try norm(weights, "backbone.norm_f"),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      residual: file.family.residual,
      note: "for f(X)ₜ as a function of xₛ the block's inputs at all other tokens are held")
  }
}

extension Configuration {
  /// The width of the stream times `expand`, rounded down, or GGUF's own value for it.
  fileprivate func expandedWidth(_ width: Int) throws(ModelError) -> Int {
    if let stated = try optionalSize("ssm.inner_size") { return stated }
    let factor = try positive("expand", default: 2)
    try check(factor <= 1024, "expand", "is more than 1024")
    return max(Int(factor * Double(width)), 1)
  }
}

extension Initialisation {
  /// The initialisation. Mamba ties its head to the embedding if the file does not say; Mamba 2 does not.
  fileprivate static let mamba = Initialisation(
    deviation: 0.1, hasPadding: false,
    exceptions: { file, _ in
      let c = file.configuration
      let kernel = try c.size("conv_kernel", default: 4)
      let isFirst = file.modelType == "mamba"
      let width = try c.size("hidden_size", default: isFirst ? 768 : 4096)
      let inner = try c.expandedWidth(width)
      let layers = try c.size("num_hidden_layers", default: isFirst ? 32 : 64)
      let rescales = try c.flag("rescale_prenorm_residual", default: false)
      let rank = try c.timeStepRank(width)
      let deviation =
        try c.number("time_step_scale", default: 1) / Double(rank).squareRoot()
      let isConstant = try c.text("time_step_init_scheme", default: "random") == "constant"
      return [
        ("A_log", .countedLogarithms), ("conv1d", .layer(inputs: kernel)),
        (
          "out_proj",
          .layer(inputs: inner, times: rescales ? 1 / Double(layers).squareRoot() : 1)
        ),
        ("dt_bias", try c.stepBiases()), ("dt_proj.bias", try c.stepBiases()),
        (
          "dt_proj",
          isConstant ? .constant(Float(deviation)) : .uniform(limit: abs(deviation))
        ),
      ]
    })
}

extension Configuration {
  /// The initialisation of step biases. Throws `ModelError.badKey`.
  func stepBiases() throws(ModelError) -> Initialiser {
    let least = try positive("time_step_min", "mamba_dt_min", default: 0.001)
    let most = try positive("time_step_max", "mamba_dt_max", default: 0.1)
    try check(least <= most, "time_step_min", "is more than time_step_max")
    let floor = try positive("time_step_floor", "mamba_dt_init_floor", default: 1e-4)
    return .stepBiases(least...most, floor: floor)
  }

  /// The number of features that steps are computed from, a sixteenth of the width unless stated.
  fileprivate func timeStepRank(_ width: Int) throws(ModelError) -> Int {
    let automatic = (width + 15) / 16
    let isAutomatic = value(["time_step_rank"])?.value.string == "auto"
    return isAutomatic ? automatic : try size("time_step_rank", default: automatic)
  }
}
