import Autodiff
import Checkpoint
import Files
import LinearAlgebra

extension FamilyDefinition {
  /// Falcon-H1: attention and a state space of Mamba 2 in parallel in every block, with factors on all inputs and
  /// outputs.
  ///
  /// X ↦ Z = X + a · attention(a′ · norm X) + m · mixer(m′ · norm X), F = Z + mlp(norm Z). Zuo et al., arXiv 2507.22448.
  public static let falconH1 = FamilyDefinition(
    "falcon_h1",
    residual: "f(X) = attention(norm X) + mixer(norm X) + mlp(norm Z), Z = X + attention(norm X) + "
      + "mixer(norm X), the mixer a recurrence over the tokens, each with factors of its own",
    gguf: .falconH1,
    initialisation: Initialisation(
      paddingToken: 0,
      exceptions: { file, _ in
        guard file.format == .huggingFace else {
          throw ModelError.unsupportedKey(
            file: file.configuration.file, key: "general.architecture", value: "\"falcon-h1\"",
            reason: "its weights include factors that the file does not state, so it is unknown "
              + "what they were before training; open a folder of config.json and safetensors")
        }
        return [("A_log", .countedLogarithms)]
      })
  ) { try DecoderModel(falconH1: $0) }
}

extension DecoderModel {
  fileprivate init(falconH1 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c, .init(feedForwardWidth: 14336, keyValueHeads: 8, positions: 8192, epsilon: 1e-5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.mlpBias = try c.flag("mlp_bias", default: false)
    let factor = { (key: String) in try c.number(key, default: 1) }
    let (keys, logits) = (try factor("key_multiplier"), try factor("lm_head_multiplier"))
    let embedding = try factor("embedding_multiplier")
    let attention = (try factor("attention_in_multiplier"), try factor("attention_out_multiplier"))
    let mixer = (try factor("ssm_in_multiplier"), try factor("ssm_out_multiplier"))
    let mlp = try c.factors("mlp_multipliers", count: 2)
    let parts = try c.factors("ssm_multipliers", count: 5)
    let space = try StateSpaceSettings(falconH1: c, s)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.final_layernorm"), embeddingScale: embedding,
      logitScale: logits,
      note: "for f(X)ₜ as a function of xₛ the block's inputs at all other tokens are held"
    ) { block, _ in
      var attended = try block.attention()
      attended.scale = keys / Double(s.headDimension).squareRoot()
      var state = try block.weights.stateSpace(
        "mamba", space, width: s.width, activation: s.activation)
      state.factors = parts
      let all = DecoderReader(block.weights.scoped("feed_forward."), s)
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: MixerSum(parts: [
          .init(mixer: state, input: mixer.0, output: mixer.1),
          .init(mixer: attended, input: attention.0, output: attention.1),
        ]),
        feedForwardNorm: try block.norm("pre_ff_layernorm"),
        feedForward: try ScaledMLP(all, gateScale: mlp[0], scale: mlp[1]))
    }
  }
}

extension StateSpaceSettings {
  fileprivate init(falconH1 c: Configuration, _ s: DecoderSettings) throws {
    let expansion = try c.size("mamba_expand", default: 2)
    let stated = try c.nullableSize("mamba_d_ssm", absent: 1024)
    try c.checkFeatures("mamba_expand", expansion, s.width)
    let features = stated ?? expansion * s.width
    self.init(
      heads: try c.size("mamba_n_heads", default: 128),
      groups: try c.size("mamba_n_groups", default: 1),
      keyDimension: try c.size("mamba_d_state", default: 256), valueDimension: 1,
      width: try c.size("mamba_d_conv", default: 4))
    try setHeads(c, features: features)
    convolutionBias = try c.nullableFlag("mamba_conv_bias", absent: true)
    inputBias = try c.flag("mamba_proj_bias", default: false)
    outputBias = try c.flag("projectors_bias", default: false)
    stepLimits = try c.stepLimits("time_step_limit")
    normEpsilon = try c.flag("mamba_rms_norm", default: false) ? s.epsilon : nil
    normsFirst = try c.flag("mamba_norm_before_gate", default: true)
  }

  /// Sets the size of a head from `mamba_d_head`, which may be left to follow from the number of heads, and checks it
  /// against all features.
  mutating func setHeads(_ c: Configuration, features: Int) throws {
    let isAutomatic = c.value(["mamba_d_head"]).map { $0.value.string == "auto" } ?? true
    valueDimension = isAutomatic ? max(features / heads, 1) : try c.size("mamba_d_head")
    try check(c, groups: "mamba_n_groups", heads: "mamba_n_heads")
    try c.check(
      self.features == features, "mamba_n_heads",
      "gives \(self.features) features of all heads instead of \(features)")
  }
}

/// The MLP down(φ(a · gate x) ∘ up x) · b.
private struct ScaledMLP: FeedForward {
  let gate, up, down: LinearWeights
  let activation: Activation
  let gateScale, scale: Double

  init(_ reader: DecoderReader, gateScale: Double, scale: Double) throws {
    let s = reader.settings
    let part = { (name: String, outputs: Int, inputs: Int) in
      try reader.weights.linear(name, outputs: outputs, inputs: inputs, bias: s.mlpBias)
    }
    gate = try part("gate_proj", s.feedForwardWidth, s.width)
    up = try part("up_proj", s.feedForwardWidth, s.width)
    down = try part("down_proj", s.width, s.feedForwardWidth)
    (activation, self.gateScale, self.scale) = (s.activation, gateScale, scale)
  }

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    S(scale) * down((S(gateScale) * gate(x)).activated(by: activation).asGate * up(x))
  }
}

extension GGUFDialect {
  /// The dialect. Stored weights include their factors. llama.cpp applies the gate before the norm, and the name of
  /// the MLP's norm has no suffix.
  fileprivate static let falconH1 = GGUFDialect(
    architecture: "falcon-h1",
    names: decoder(
      with: recurrence("mamba").merging([
        "pre_ff_layernorm": "ffn_norm.", "feed_forward.gate_proj": "ffn_gate",
        "feed_forward.up_proj": "ffn_up", "feed_forward.down_proj": "ffn_down",
      ]) { $1 }
    ).merging(["model.final_layernorm": "output_norm"]) { $1 },
    epsilon: "attention.layer_norm_rms_epsilon", keys: recurrenceKeys,
    required: essential + recurrenceSizes,
    settings: { file in
      file.biases(mlp: "mlp_bias").merging(
        file.mixerBiases(input: "mamba_proj_bias", convolution: "mamba_conv_bias")
      ) { $1 }.merging([
        "projectors_bias": .bool(file.hasInABlock("ssm_out.bias")),
        "mamba_rms_norm": .bool(file.hasInABlock("ssm_norm.weight")),
        "mamba_norm_before_gate": .bool(false),
      ]) { $1 }
    })
}
