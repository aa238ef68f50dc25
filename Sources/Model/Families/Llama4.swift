import Autodiff
import Checkpoint
import Foundation

extension FamilyDefinition {
  /// The text model of Llama 4: a block of Llama that attends within chunks of the prompt, with queries and keys
  /// normalised after their rotation, except in some blocks that do not rotate and see all tokens; in some blocks, a
  /// mixture of experts with a shared one in place of the MLP.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ expertₑ(wₑ norm Z) + shared(norm Z), where w is the logistic function
  /// of the router.
  public static let llama4 = FamilyDefinition(
    "llama4_text", outerTypes: ["llama4": "llama4_text"],
    residual: "f(X) = attention(norm X) + Σ expertₑ(wₑ norm Z) + shared(norm Z), "
      + "Z = X + attention(norm X)",
    gguf: .llama4
  ) { try DecoderModel(llama4: $0) }
}

extension DecoderModel {
  fileprivate init(llama4 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 48, width: 5120, feedForwardWidth: 8192, heads: 40, keyValueHeads: 8,
        headDimension: 128, positions: 131_072, epsilon: 1e-5, theta: 500_000))
    s.attentionBias = try c.flag("attention_bias", default: false)
    s.pairing = .interleaved
    let dense = try c.size("intermediate_size_mlp", default: 16384)
    let count = try c.size("num_local_experts", "num_experts", default: 16)
    let chosen = try c.chosenExperts(of: count, default: 1)
    let hasExperts = try s.mixtures(c)
    let kinds = try AttentionKinds(c, layers: s.layers)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    let layout = ExpertLayout(prefix: "feed_forward.experts", isTransposed: true)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: ExpertMixture.note(chosen: chosen, of: count)
    ) { block, l in
      var attention = try block.attention()
      if kinds.rotates(l) {
        let norm = RMSNormWeights(
          gain: Array(repeating: 1, count: s.headDimension), epsilon: s.epsilon)
        (attention.rotatesFirst, attention.queryNorm) = (true, kinds.isNormed ? norm : nil)
        attention.keyNorm = attention.queryNorm
      } else {
        (attention.rotary, attention.temperature) = (nil, kinds.temperature)
      }
      attention.chunk = kinds.chunk(l)
      var feedForward: any FeedForward
      if hasExperts(l) {
        feedForward = ExpertMixture(
          router: try block.weights.linear(
            "feed_forward.router", outputs: count, inputs: s.width, bias: false),
          routing: .init(.sigmoid, chosen: chosen, isNormalised: false),
          experts: try block.experts(count, width: s.feedForwardWidth, layout),
          shared: try block.mlp("feed_forward.shared_expert"), scalesInput: true)
      } else {
        feedForward = try block.mlp("feed_forward", width: dense)
      }
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"), mixer: attention,
        feedForwardNorm: try block.norm("post_attention_layernorm"), feedForward: feedForward)
    }
  }
}

/// The kinds of attention by block: from `no_rope_layers`, where 1 means rotation, and `layer_types`.
private struct AttentionKinds {
  let rotates: (Int) -> Bool
  let chunk: (Int) -> Int?
  /// Whether queries and keys are normalised in blocks that rotate.
  let isNormed: Bool
  /// The factor of queries in blocks that do not rotate, as a function of the position.
  let temperature: (@Sendable (Int) -> Double)?

  init(_ c: Configuration, layers: Int) throws(ModelError) {
    let interval = try c.size("no_rope_layer_interval", default: 4)
    let stated = try c.optionalNumbers("no_rope_layers") ?? []
    try c.check(
      stated.isEmpty || stated.count >= layers, "no_rope_layers",
      "has \(stated.count) entries for \(layers) blocks")
    let rotates = { (l: Int) in stated.isEmpty ? (l + 1) % interval != 0 : stated[l] != 0 }
    self.rotates = rotates
    let size = try c.nullableSize("attention_chunk_size", absent: 8192)
    if let kinds = try c.optionalTexts("layer_types") {
      try c.check(
        kinds.count >= layers, "layer_types", "has \(kinds.count) entries for \(layers) blocks")
      for kind in kinds where kind != "full_attention" && kind != "chunked_attention" {
        throw .unsupportedKey(
          file: c.file, key: "layer_types", value: "\"\(kind)\"",
          reason: "this family has full_attention and chunked_attention")
      }
      try c.check(
        size != nil || !kinds.contains("chunked_attention"), "attention_chunk_size",
        "is not set, but blocks with chunked attention need it")
      chunk = { kinds[$0] == "chunked_attention" ? size : nil }
    } else {
      chunk = { rotates($0) ? size : nil }
    }
    isNormed = try c.flag("use_qk_norm", default: true)
    let (strength, reach) = (
      try c.number("attn_scale", default: 0.1), try c.positive("floor_scale", default: 8192)
    )
    guard try c.flag("attn_temperature_tuning", default: true) else {
      temperature = nil
      return
    }
    temperature = { position in
      let steps = (Double(position + 1) / reach).rounded(.down)
      return 1 + strength * log1p(steps)
    }
  }
}

extension DecoderSettings {
  /// The blocks with experts: those in `moe_layers`, or every `interleave_moe_layer_step`-th.
  fileprivate func mixtures(_ c: Configuration) throws(ModelError) -> (Int) -> Bool {
    let step = try c.size("interleave_moe_layer_step", default: 1)
    guard let listed = try c.optionalNumbers("moe_layers") else { return { ($0 + 1) % step == 0 } }
    return { listed.contains(Double($0)) }
  }
}

extension GGUFDialect {
  /// The dialect. Files give neither the length of a chunk nor the growth of queries, and about blocks that do not
  /// rotate only, by a window of 0, that there are none. The largest model is the one without norms of queries and
  /// keys.
  fileprivate static let llama4 = GGUFDialect(
    architecture: "llama4",
    names: decoder(with: [
      "feed_forward.gate_proj": "ffn_gate", "feed_forward.up_proj": "ffn_up",
      "feed_forward.down_proj": "ffn_down", "feed_forward.router": "ffn_gate_inp",
      "feed_forward.experts.gate_proj": "ffn_gate_exps",
      "feed_forward.experts.up_proj": "ffn_up_exps",
      "feed_forward.experts.down_proj": "ffn_down_exps",
      "feed_forward.shared_expert.gate_proj": "ffn_gate_shexp",
      "feed_forward.shared_expert.up_proj": "ffn_up_shexp",
      "feed_forward.shared_expert.down_proj": "ffn_down_shexp",
    ]),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging([
      "intermediate_size": ["expert_feed_forward_length"],
      "intermediate_size_mlp": ["feed_forward_length"],
    ]) { $1 },
    required: essential + [
      "expert_count", "expert_used_count", "expert_feed_forward_length",
      "interleave_moe_layer_step",
    ],
    pairing: .interleaved,
    settings: { file in
      var settings = file.biases()
      settings["use_qk_norm"] = .bool(file.size("expert_count") != 128)
      let (window, pattern) = ("attention.sliding_window", "attention.sliding_window_pattern")
      settings[window] = .null
      if file.value(pattern)?.int == 4 { settings[pattern] = .null }
      if file.value(window)?.int == 0 {
        settings["attention_chunk_size"] = .null
        settings["no_rope_layers"] = .array(
          Array(repeating: .number(.integer(1)), count: min(file.size("block_count") ?? 0, 1 << 12))
        )
      }
      return settings
    })
}
