import Checkpoint
import Files

extension FamilyDefinition {
  /// Gemma 3, on its own or within a multimodal model: Gemma 2 with norms of queries and keys instead of soft caps,
  /// and five blocks with a sliding window for each one without, each kind with its own rotary base.
  ///
  /// X ↦ Z = X + norm(attention(norm X)), F = Z + norm(mlp(norm Z)); f = F − X, the norms after the halves included.
  /// With `use_bidirectional_attention` (EmbeddingGemma), tokens also see those after them.
  /// Gemma Team, arXiv 2503.19786.
  public static let gemma3 = FamilyDefinition(
    "gemma3", modelTypes: ["gemma3_text"], outerTypes: ["gemma3": "gemma3_text"],
    residual: gemma2.residual, gguf: .gemma3, initialisation: .gemma
  ) { try DecoderModel(gemma3: $0) }
}

extension DecoderModel {
  fileprivate init(gemma3 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 26, width: 2304, feedForwardWidth: 9216, heads: 8, keyValueHeads: 4,
        headDimension: 256, positions: 131_072,
        activation: ("hidden_activation", "gelu_pytorch_tanh"), theta: 1_000_000, tiedHead: true),
      rotary: .init(kind: "full_attention"))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let local = try s.rotary(
      c, .init(kind: "sliding_attention", thetaKey: "rope_local_base_freq", isScaled: false))
    let scale = 1 / (try c.positive("query_pre_attn_scalar", default: 256)).squareRoot()
    let logitCap = try c.nullablePositive("final_logit_softcapping", absent: nil)
    let isCausal = try !c.flag("use_bidirectional_attention", default: false)
    if !isCausal { c.understand("is_causal") }
    let stated = try c.nullableSize("sliding_window", absent: 4096)
    // For bidirectional attention, half of the window is on either side.
    let window = isCausal ? stated : stated.map { $0 / 2 + 1 }
    let period = try c.size("sliding_window_pattern", default: 6)
    try c.check(
      window != nil || period == 1, "sliding_window", "is null, but most blocks need it")
    let windows = try s.windows(c, window) { ($0 + 1) % period != 0 }
    try c.refuseUnread()
    let reader = DecoderReader(file, s, gainOffset: 1)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      embeddingScale: Double(s.width).squareRoot(), logitCap: logitCap, isCausal: isCausal,
      note: "X⁰ is the embedding times √width; queries and keys are normalised as well"
    ) { block, l in
      var attention = try block.attention(window: windows(l), norms: .each)
      if windows(l) != nil { attention.rotary = local }
      (attention.scale, attention.isCausal) = (scale, isCausal)
      return try block.gemma(attention)
    }
  }
}

extension GGUFDialect {
  /// The dialect. No key gives the scale of the scores; older files also lack the rotary base of blocks with windows.
  fileprivate static let gemma3 = GGUFDialect(
    architecture: "gemma3", names: decoder(with: gemmaNorms.merging(headNorms) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: windowKeys,
    settings: { file in
      file.biases().merging(file.gemmaScale(largest: 62)) { $1 }
        .merging(file.layerKinds(period: 6)) { $1 }
    })
}
