import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// Gemma 4, on its own or within a multimodal model: the norms of Gemma 3 with full gains, normalised values,
  /// another head size in blocks without a window and, in some models, a mixture of experts beside each MLP, side
  /// inputs of the blocks, or final blocks that attend to the keys and values of earlier ones.
  ///
  /// Gemma Team, "Gemma 4 model card", 2026.
  public static let gemma4 = FamilyDefinition(
    "gemma4", modelTypes: ["gemma4_text"], outerTypes: ["gemma4": "gemma4_text"],
    residual: "f(X) = F(X) − X, F = s (Y + P), Y = Z + norm(mlp(norm Z)), "
      + "Z = X + norm(attention(norm X)); s is a factor of the block, and P is what it adds for a "
      + "side input that depends on the token and is held, if it has one",
    gguf: .gemma4, initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try DecoderModel(gemma4: $0) }
}

/// Gemma 4's settings beyond those that all families share.
private struct Gemma4Settings {
  var full: (Int) -> Bool
  var shared, sideWidth: Int
  var hasMixture, sharesProjection, doublesWidth: Bool
  var experts, chosen, expertWidth: Int
  var headDimension, keyValueHeads: (Int) -> Int

  init(_ c: Configuration, _ s: DecoderSettings) throws(ModelError) {
    let kinds = try s.layerKinds(c, ["sliding_attention", "full_attention"]) {
      ($0 + 1) % 6 == 0 ? "full_attention" : "sliding_attention"
    }
    // The last block sees all tokens, whatever the list says.
    full = { $0 == s.layers - 1 || kinds($0) == "full_attention" }
    shared = try c.optionalID("num_kv_shared_layers") ?? 0
    try c.check(shared < s.layers, "num_kv_shared_layers", "leaves no block with its own keys")
    let side = "hidden_size_per_layer_input"
    sideWidth = try c.optionalID(side) ?? (c.mentions(side) ? 0 : 256)
    sharesProjection = try c.flag("attention_k_eq_v", default: false)
    doublesWidth = try c.flag("use_double_wide_mlp", default: false)
    hasMixture = try c.flag("enable_moe_block", default: false)
    (experts, chosen, expertWidth) = (0, 0, 0)
    c.understand("num_experts")
    if hasMixture {
      experts = try c.size("num_experts")
      chosen = try c.chosenExperts("top_k_experts", of: experts, default: nil)
      expertWidth = try c.size("moe_intermediate_size")
    }
    let attention = try c.optionalText("use_bidirectional_attention") ?? "vision"
    try c.checkSupported(
      attention == "vision", "use_bidirectional_attention", "text tokens see only earlier ones")
    let size = try c.size("global_head_dim", default: 512)
    let keys = try c.optionalSize("num_global_key_value_heads")
    var (sizes, groups): ([Int: Int], [Int: Int]) = ([:], [:])
    let own = try c.optionalObject("per_layer_config")
    for l in 0..<(own == nil ? 0 : min(s.layers, 1 << 12)) {
      guard let layer = try own?.optionalObject("\(l)") else { continue }
      sizes[l] = try layer.optionalSize("head_dim")
      groups[l] = try layer.optionalSize("num_key_value_heads")
    }
    let (isListed, full, sharesProjection) = (own != nil, full, sharesProjection)
    headDimension = { l in sizes[l] ?? (full(l) && !isListed ? size : s.headDimension) }
    keyValueHeads = { l in
      groups[l] ?? (full(l) && !isListed && sharesProjection ? keys : nil) ?? s.keyValueHeads
    }
  }

  /// The block whose keys and values block `l` attends to: the last one of its kind with keys of its own, if the
  /// sizes match.
  func source(of l: Int, in layers: Int) -> Int? {
    let last = l < layers - shared ? nil : (0..<layers - shared).last { full($0) == full(l) }
    return last.flatMap {
      headDimension($0) == headDimension(l) && keyValueHeads($0) == keyValueHeads(l) ? $0 : nil
    }
  }
}

extension DecoderModel {
  fileprivate init(gemma4 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 30, width: 2304, feedForwardWidth: 9216, heads: 8, keyValueHeads: 4,
        headDimension: 256, positions: 131_072,
        activation: ("hidden_activation", "gelu_pytorch_tanh"), tiedHead: true),
      rotary: .init(kind: "sliding_attention"))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let g = try Gemma4Settings(c, s)
    let window = try c.size("sliding_window", default: 512)
    let logitCap = try c.nullablePositive("final_logit_softcapping", absent: nil)
    try c.refuseUnread()
    let (reader, p) = (DecoderReader(file, s), g.sideWidth)
    let weights = reader.weights
    let tokens = try weights.table("model.embed_tokens.weight", columns: s.width)
    try c.check(p * s.layers <= 1 << 31, "hidden_size_per_layer_input", "is too large")
    let perLayer = try p == 0 ? nil : reader.perLayerSource(p, vocabulary: tokens.rows)
    var notes = ["X⁰ is the embedding times √width"]
    if g.shared > 0 {
      notes.append(
        "the last \(g.shared) blocks attend to keys and values of earlier ones, which are held")
    }
    if g.hasMixture { notes.append(ExpertMixture.note(chosen: g.chosen, of: g.experts)) }
    try self.init(
      file, weights, width: s.width, heads: s.heads, keyValueHeads: s.keyValueHeads,
      feedForwardWidth: s.feedForwardWidth, positions: s.positions,
      embedding: Embedding(
        tokens: tokens, scale: Double(s.width).squareRoot(), perLayer: perLayer),
      blocks: Self.blocks(s.layers) { l in
        var own = s
        (own.headDimension, own.keyValueHeads) = (g.headDimension(l), g.keyValueHeads(l))
        try c.check(
          s.heads % own.keyValueHeads == 0, "num_key_value_heads",
          "is \(own.keyValueHeads), which does not divide the \(s.heads) heads")
        own.rotary = try RotaryFrequencies(
          c, dimension: own.headDimension, defaultTheta: g.full(l) ? 1_000_000 : 10_000,
          trained: s.trained,
          g.full(l)
            ? .init(
              kind: "full_attention",
              absent: .proportional(factor: 1, pairs: own.headDimension / 8))
            : .init(kind: "sliding_attention"))
        let source = g.source(of: l, in: s.layers)
        try c.check(
          l < s.layers - g.shared || source != nil, "num_kv_shared_layers",
          "leaves no block of each kind with keys and values of its size")
        if g.doublesWidth, source != nil { own.feedForwardWidth *= 2 }
        return try DecoderReader(weights.scoped("model.layers.\(l)."), own).gemma4(
          g, window: g.full(l) ? nil : window, isFull: g.full(l), source: source)
      },
      head: Head(
        norm: reader.norm("model.norm"),
        weights: weights.head("lm_head", tied: s.tiedHead, to: tokens), softCap: logitCap),
      residual: file.family.residual, note: notes.joined(separator: "; "))
  }
}

extension DecoderReader {
  fileprivate func gemma4(
    _ g: Gemma4Settings, window: Int?, isFull: Bool, source: Int?
  ) throws -> DecoderBlock {
    let dense = try mlp()
    var block = try gemma(gemma4Attention(g, window: window, isFull: isFull, source: source))
    if g.hasMixture {
      block.feedForwardNorm = nil
      block.feedForward = DenseAndMixture(
        norm: try norm("pre_feedforward_layernorm"), dense: dense,
        afterDense: try norm("post_feedforward_layernorm_1"), mixture: try gemma4Mixture(g),
        afterMixture: try norm("post_feedforward_layernorm_2"))
    }
    if g.sideWidth > 0 { block.perLayer = try perLayerInput(g.sideWidth) }
    if weights.contains("layer_scalar") {
      block.outputScale = Double(try weights.vector("layer_scalar", count: 1)[0])
    }
    return block
  }

  private func gemma4Attention(
    _ g: Gemma4Settings, window: Int?, isFull: Bool, source: Int?
  ) throws -> any Mixer {
    let (s, name) = (settings, "self_attn")
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    let linear = { (part: String, outputs: Int, inputs: Int) in
      try weights.linear(
        "\(name).\(part)", outputs: outputs, inputs: inputs, bias: s.attentionBias)
    }
    let query = try linear("q_proj", queries, s.width)
    // The key projections of a block without its own keys are in some files but unused by the model.
    let unread =
      ["k_proj", "v_proj"].flatMap { ["\($0).weight", "\($0).bias"] } + ["k_norm.weight"]
    if source != nil { for part in unread { weights.understand("\(name).\(part)") } }
    let key = try source == nil ? linear("k_proj", keys, s.width) : query
    let value =
      try source != nil || isFull && g.sharesProjection ? key : linear("v_proj", keys, s.width)
    var attention = attention(
      .separate(query: query, key: key, value: value),
      output: try linear("o_proj", s.width, queries), window: window)
    attention.scale = 1
    attention.queryNorm = try norm("\(name).q_norm", count: s.headDimension)
    if let source { return SharedAttention(source: source, query: query, attention: attention) }
    attention.keyNorm = try norm("\(name).k_norm", count: s.headDimension)
    attention.valueNorm = RMSNormWeights(
      gain: Array(repeating: 1, count: s.headDimension), epsilon: s.epsilon)
    return attention
  }

  /// Reads a mixture whose router applies its own norm to Z, with gains divided by √width.
  private func gemma4Mixture(_ g: Gemma4Settings) throws -> ExpertMixture {
    let s = settings
    return ExpertMixture(
      router: try weights.linear(
        "router.proj", outputs: g.experts, inputs: s.width, bias: false),
      routing: .init(
        chosen: g.chosen,
        expertFactors: try weights.vector("router.per_expert_scale", count: g.experts)),
      experts: try experts(g.experts, width: g.expertWidth, ExpertLayout(prefix: "experts")),
      routerNorm: RMSNormWeights(
        gain: try weights.vector("router.scale", count: s.width),
        scale: 1 / Double(s.width).squareRoot(), epsilon: s.epsilon),
      expertNorm: try norm("pre_feedforward_layernorm_2"))
  }
}
