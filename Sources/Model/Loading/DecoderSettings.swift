import Autodiff

/// Sizes and functions that every family close to Llama has.
struct DecoderSettings: Sendable {
  var layers, width, feedForwardWidth, heads, keyValueHeads, headDimension: Int
  /// Tokens a prompt may have, if limited.
  var positions: Int?
  var epsilon: Double
  var activation: Activation
  var rotary: RotaryFrequencies
  /// Interleaved where llama.cpp stores pairs of rotated features side by side: scores do not depend on the order of
  /// features within a head as long as q and k agree, so the rows are taken as they lie.
  var pairing = RotaryPairing.split
  var attentionBias = false
  var mlpBias = false
  var tiedHead: Bool

  /// What the reference implementation takes where a file says nothing; here those of Llama.
  struct Defaults {
    var layers = 32
    var width = 4096
    var feedForwardWidth = 11008
    var heads = 32
    /// nil for as many as heads; that is also what null means.
    var keyValueHeads: Int?
    /// nil for width / heads.
    var headDimension: Int?
    var positions = 2048
    var epsilon = 1e-6
    /// Key and value.
    var activation = (key: "hidden_act", name: "silu")
    var theta = 10_000.0
    /// Of a head's features, which the file may change; nil where all rotate.
    var rotatedShare: Double?
    var tiedHead = false
  }

  /// Reads the keys of a config.json that all have; `epsilon` where the norm's is no key. Throws `ModelError`.
  init(
    _ c: Configuration, _ defaults: Defaults = Defaults(), epsilon fixed: Double? = nil,
    rotary scheme: RotaryFrequencies.Scheme = .init()
  ) throws(ModelError) {
    layers = try c.size("num_hidden_layers", default: defaults.layers)
    width = try c.size("hidden_size", default: defaults.width)
    feedForwardWidth = try c.size("intermediate_size", default: defaults.feedForwardWidth)
    heads = try c.size("num_attention_heads", default: defaults.heads)
    keyValueHeads =
      try c.nullableSize("num_key_value_heads", absent: defaults.keyValueHeads) ?? heads
    headDimension = try c.size("head_dim", default: defaults.headDimension ?? max(width / heads, 1))
    try c.check(
      heads * headDimension <= 1 << 31, "head_dim", "makes more than 2³¹ features of all heads")
    let trained = try c.size("max_position_embeddings", default: defaults.positions)
    epsilon =
      if let fixed { fixed } else { try c.positive("rms_norm_eps", default: defaults.epsilon) }
    activation = try Activation(
      c, defaults.activation.key, default: defaults.activation.name)
    rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultShare: defaults.rotatedShare,
      defaultTheta: defaults.theta, trained: trained, scheme)
    positions = rotary.isUnlimited ? nil : trained
    tiedHead = try c.flag("tie_word_embeddings", default: defaults.tiedHead)
    try c.check(
      heads % keyValueHeads == 0, "num_key_value_heads",
      "is \(keyValueHeads), which does not divide the \(heads) heads")
  }

  /// The window of a block: `window` where `layer_types` says so or, without it, where `slides` does.
  ///
  /// Throws `ModelError` for other kinds of attention, for too few or too many, and for a window that is not there.
  func windows(
    _ c: Configuration, _ window: Int?, slides: @escaping (Int) -> Bool
  ) throws(ModelError) -> (Int) -> Int? {
    guard let kinds = try c.optionalTexts("layer_types") else {
      return { slides($0) ? window : nil }
    }
    try c.check(
      kinds.count == layers, "layer_types", "has \(kinds.count) entries for \(layers) blocks")
    for kind in kinds where kind != "full_attention" && kind != "sliding_attention" {
      throw .unsupportedKey(
        file: c.file, key: "layer_types", value: "\"\(kind)\"",
        reason: "known are full_attention and sliding_attention")
    }
    try c.check(
      window != nil || !kinds.contains("sliding_attention"), "sliding_window",
      "is not set, and blocks of sliding attention need it")
    return { kinds[$0] == "sliding_attention" ? window : nil }
  }
}
