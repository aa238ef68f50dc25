import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// Qwen3.5: three blocks of the gated delta rule for each one of gated attention.
  ///
  /// X ↦ Z = X + mixer(norm X), F = Z + mlp(norm Z); the mixer of most blocks is a recurrence over the tokens after a
  /// short convolution. f(X)ₜ depends on xₛ through the state and, within the width of the convolution, directly.
  /// Yang, Kautz, Hatamizadeh, arXiv 2412.06464; Qiu et al., arXiv 2505.06708.
  public static let qwen3_5 = FamilyDefinition(
    "qwen3_5", modelTypes: ["qwen3_5_text"], outerTypes: ["qwen3_5": "qwen3_5_text"],
    residual: recurrentResidual, gguf: .deltaRule("qwen35"), initialisation: .deltaRule
  ) { try DecoderModel(qwen3_5: $0) }

  static let recurrentResidual =
    "f(X) = mixer(norm X) + mlp(norm Z), Z = X + mixer(norm X), the mixer a recurrence over the "
    + "tokens in some blocks and attention in others"
}

extension DecoderModel {
  fileprivate init(qwen3_5 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 32, width: 4096, feedForwardWidth: 12288, heads: 16, keyValueHeads: 4,
        headDimension: 256, positions: 32768, rotatedShare: 0.25))
    let delta = try DeltaRuleSettings(c, &s)
    let file = try file.withoutFurtherBlocks(s.layers)
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(file, reader, norm: reader.norm("model.norm"), note: delta.note) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: delta.isLinear(l) ? block.deltaRule(delta) : block.gatedAttention(),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension Initialisation {
  /// The initialisation. Gains are stored minus 1, except those of the recurrences, and those in GGUF files.
  static let deltaRule = Initialisation(exceptions: { file, deviation in
    [
      ("linear_attn.A_log", .logarithms(of: 0.01...16)), ("linear_attn.norm", .constant(1)),
      ("norm", .constant(file.format == .gguf ? 1 : 0)),
      ("shared_expert_gate", .normal(deviation: deviation)),
    ]
  })
}

/// The settings of the recurrences of Qwen3-Next and Qwen3.5.
struct DeltaRuleSettings {
  let groups, heads, keyDimension, valueDimension, width: Int
  /// Whether a block has a recurrence.
  let isLinear: (Int) -> Bool

  init(_ c: Configuration, _ s: inout DecoderSettings) throws {
    s.attentionBias = try c.flag("attention_bias", default: false)
    groups = try c.size("linear_num_key_heads", default: 16)
    heads = try c.size("linear_num_value_heads", default: 32)
    keyDimension = try c.size("linear_key_head_dim", default: 128)
    valueDimension = try c.size("linear_value_head_dim", default: 128)
    width = try c.size("linear_conv_kernel_dim", default: 4)
    try c.check(
      heads % groups == 0, "linear_num_key_heads",
      "is \(groups), which does not divide the \(heads) heads of values")
    try c.checkFeatures("linear_key_head_dim", groups, keyDimension)
    try c.checkFeatures("linear_value_head_dim", heads, valueDimension)
    let period = try c.size("full_attention_interval", default: 4)
    let (linear, full) = ("linear_attention", "full_attention")
    let kinds = try s.layerKinds(c, [linear, full]) { ($0 + 1) % period == 0 ? full : linear }
    isLinear = { kinds($0) == linear }
  }

  /// A note about the blocks' Jacobians, in words for readers.
  let note =
    "the gated delta rule is a recurrence over the tokens: for f(X)ₜ as a function of xₛ the "
    + "block's inputs at all other tokens are held"
}

extension DecoderReader {
  /// Reads `self_attn`, with norms of queries and keys, and a gate beside every head's queries.
  func gatedAttention() throws -> AttentionWeights {
    let (s, size) = (settings, settings.headDimension)
    let (queries, keys) = (s.heads * size, s.keyValueHeads * size)
    var attention = attention(
      try weights.projections(
        "self_attn", queries: 2 * queries, keys: keys, inputs: s.width, bias: s.attentionBias),
      output: try weights.linear(
        "self_attn.o_proj", outputs: s.width, inputs: queries, bias: s.attentionBias),
      window: nil)
    attention.isGated = true
    attention.queryNorm = try norm("self_attn.q_norm", count: size)
    attention.keyNorm = try norm("self_attn.k_norm", count: size)
    return attention
  }

  /// Reads `linear_attn`, with four maps from the stream, or with two, stored by groups, as in Qwen3-Next. GGUF files
  /// of Qwen3-Next split one of these into two, each complete; those of Qwen3.5 store the heads in turns.
  func deltaRule(_ d: DeltaRuleSettings) throws -> GatedDeltaWeights {
    let (keys, values) = (d.groups * d.keyDimension, d.heads * d.valueDimension)
    let has = { (name: String) in weights.contains("linear_attn.\(name).weight") }
    let map = { (name: String, outputs: Int) in
      try weights.linear(
        "linear_attn.\(name)", outputs: outputs, inputs: settings.width, bias: false)
    }
    let isGrouped = has("in_proj_ba") || has("in_proj_qkvz")
    let features: GatedDeltaWeights.Features =
      isGrouped && !has("in_proj_qkv")
      ? .grouped(try map("in_proj_qkvz", 2 * keys + 2 * values))
      : .separate(
        mixed: try map("in_proj_qkv", 2 * keys + values), gate: try map("in_proj_z", values))
    let rates: GatedDeltaWeights.Rates =
      isGrouped
      ? .grouped(try map("in_proj_ba", 2 * d.heads))
      : .separate(step: try map("in_proj_a", d.heads), strength: try map("in_proj_b", d.heads))
    let order = HeadOrder(
      heads: d.heads, groups: d.groups, takesTurns: weights.isGGUF && !isGrouped)
    return GatedDeltaWeights(
      recurrence: RecurrenceSettings(
        heads: d.heads, groups: d.groups, keyDimension: d.keyDimension,
        valueDimension: d.valueDimension,
        rates: order.byGroups(try weights.rates("linear_attn.A_log", shape: [d.heads]))),
      features: features, rates: rates, order: order,
      convolution: try weights.convolution(
        "linear_attn.conv1d", features: 2 * keys + values, width: d.width, bias: false),
      activation: settings.activation,
      stepBias: order.byGroups(try weights.vector("linear_attn.dt_bias", count: d.heads)),
      norm: RMSNormWeights(
        gain: try weights.vector("linear_attn.norm.weight", count: d.valueDimension),
        epsilon: settings.epsilon),
      output: try weights.linear(
        "linear_attn.out_proj", outputs: settings.width, inputs: values, bias: false))
  }
}

extension GGUFDialect {
  /// The dialect of Qwen3-Next and Qwen3.5, with experts or without. Weights of experts are shares among those that a
  /// token chooses.
  static func deltaRule(_ architecture: String) -> GGUFDialect {
    let block = [
      "post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkv": "attn_qkv",
      "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_ba": "ssm_ba",
      "linear_attn.in_proj_a": "ssm_alpha", "linear_attn.in_proj_b": "ssm_beta",
    ].merging(sharedExpert) { $1 }.merging(headNorms) { $1 }
    var mixer = recurrence("linear_attn")
    mixer["linear_attn.in_proj_qkvz"] = mixer.removeValue(forKey: "linear_attn.in_proj")
    return GGUFDialect(
      architecture: architecture,
      names: decoder(with: experts.merging(mixer) { $1 }.merging(block) { $1 }),
      epsilon: "attention.layer_norm_rms_epsilon",
      keys: expertKeys.merging(recurrenceKeys) { $1 }.merging([
        "shared_expert_intermediate_size": ["expert_shared_feed_forward_length"],
        "layer_types": ["attention.recurrent_layers"],
      ]) { $1 },
      required: essential.filter { $0 != "feed_forward_length" } + recurrenceSizes,
      settings: { file in
        var settings = file.biases().merging(file.blockCounts) { $1 }
          .merging(file.valueDimension("linear_value_head_dim")) { $1 }
        settings["norm_topk_prob"] = .bool(true)
        if let kinds = file.value("attention.recurrent_layers")?.array {
          settings["layer_types"] = .array(
            kinds.prefix(settings["num_hidden_layers"]?.int ?? 0).map {
              .string($0.bool == true || $0.int == 1 ? "linear_attention" : "full_attention")
            })
        }
        return settings
      })
  }
}
