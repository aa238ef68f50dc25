import Autodiff

/// The sizes and functions that all families close to Llama share.
public struct DecoderSettings: Sendable {
  /// The number of blocks.
  public var layers: Int
  /// The width of the residual stream.
  public var width: Int
  /// The width of the MLP's hidden layer.
  public var feedForwardWidth: Int
  /// The number of query heads.
  public var heads: Int
  /// The number of key-value heads.
  public var keyValueHeads: Int
  /// The number of features of a head.
  public var headDimension: Int
  /// The largest number of tokens in a prompt; nil if unlimited.
  public var positions: Int?
  /// The number of tokens of the prompts used in training.
  public var trained: Int
  /// The ε of the norms.
  public var epsilon: Double
  /// The activation φ of the MLP.
  public var activation: Activation
  /// The rotation by positions.
  public var rotary: RotaryFrequencies
  /// Interleaved where llama.cpp stores pairs of rotated features side by side: scores do not depend on the order of
  /// features within a head as long as q and k agree, so rows are used as stored.
  public var pairing = RotaryPairing.split
  /// Whether queries, keys and values have biases.
  public var attentionBias = false
  /// Whether the MLP's maps have biases.
  public var mlpBias = false
  /// Whether the head is the embedding.
  public var tiedHead: Bool

  /// The reference implementation's defaults for absent keys; here those of Llama.
  public struct Defaults: Sendable {
    var layers, width, feedForwardWidth, heads: Int
    var keyValueHeads, headDimension: Int?
    var positions: Int
    var epsilon: Double
    var activation: (key: String, name: String)
    var theta: Double
    var rotatedShare: Double?
    var tiedHead: Bool

    /// Creates defaults. `keyValueHeads` is nil for as many as heads, which is also what null means; `headDimension`
    /// is nil for width / heads; `activation` is a key and its value; `rotatedShare` is the share of a head's
    /// features that rotate unless the file changes it, nil where all rotate.
    public init(
      layers: Int = 32, width: Int = 4096, feedForwardWidth: Int = 11008, heads: Int = 32,
      keyValueHeads: Int? = nil, headDimension: Int? = nil, positions: Int = 2048,
      epsilon: Double = 1e-6, activation: (key: String, name: String) = ("hidden_act", "silu"),
      theta: Double = 10_000, rotatedShare: Double? = nil, tiedHead: Bool = false
    ) {
      (self.layers, self.width, self.heads) = (layers, width, heads)
      self.feedForwardWidth = feedForwardWidth
      (self.keyValueHeads, self.headDimension) = (keyValueHeads, headDimension)
      (self.positions, self.epsilon, self.activation) = (positions, epsilon, activation)
      (self.theta, self.rotatedShare, self.tiedHead) = (theta, rotatedShare, tiedHead)
    }
  }

  /// Reads the keys of a config.json that all families share; `epsilon`, `headDimension` and `activation` are for
  /// families whose keys for them are different or absent. Throws `ModelError`.
  public init(
    _ c: Configuration, _ defaults: Defaults = Defaults(), epsilon fixed: Double? = nil,
    headDimension size: Int? = nil, activation known: Activation? = nil,
    rotary scheme: RotaryFrequencies.Scheme = .init()
  ) throws(ModelError) {
    layers = try c.size("num_hidden_layers", default: defaults.layers)
    width = try c.size("hidden_size", default: defaults.width)
    feedForwardWidth = try c.size("intermediate_size", default: defaults.feedForwardWidth)
    heads = try c.size("num_attention_heads", default: defaults.heads)
    keyValueHeads =
      try c.nullableSize("num_key_value_heads", absent: defaults.keyValueHeads) ?? heads
    let share = defaults.headDimension ?? max(width / heads, 1)
    headDimension = if let size { size } else { try c.size("head_dim", default: share) }
    try c.check(
      heads * headDimension <= 1 << 31, "head_dim", "makes more than 2³¹ features of all heads")
    trained = try c.size("max_position_embeddings", default: defaults.positions)
    epsilon =
      if let fixed { fixed } else { try c.positive("rms_norm_eps", default: defaults.epsilon) }
    activation =
      if let known {
        known
      } else {
        try Activation(c, defaults.activation.key, default: defaults.activation.name)
      }
    rotary = try RotaryFrequencies(
      c, dimension: headDimension, defaultShare: defaults.rotatedShare,
      defaultTheta: defaults.theta, trained: trained, scheme)
    positions = rotary.isUnlimited ? nil : trained
    tiedHead = try c.flag("tie_word_embeddings", default: defaults.tiedHead)
    try c.check(
      heads % keyValueHeads == 0, "num_key_value_heads",
      "is \(keyValueHeads), which does not divide the \(heads) heads")
  }

  /// The window of each block: `window` where `layer_types` says so or, without it, where `slides` is true.
  ///
  /// Throws `ModelError` for other kinds of attention, a wrong number of entries, or a missing window.
  public func windows(
    _ c: Configuration, _ window: Int?, slides: @escaping (Int) -> Bool
  ) throws(ModelError) -> (Int) -> Int? {
    let (full, sliding) = ("full_attention", "sliding_attention")
    let kinds = try layerKinds(c, [full, sliding]) { slides($0) ? sliding : full }
    if c.value(["layer_types"]) != nil, window == nil {
      let isSliding = (0..<layers).contains { kinds($0) == sliding }
      try c.check(
        !isSliding, "sliding_window", "is not set, and blocks of sliding attention need it")
    }
    return { kinds($0) == sliding ? window : nil }
  }

  /// The kind of each block: the entry of `layer_types`, which must be one of `known`, or without that key
  /// `fallback`.
  ///
  /// Throws `ModelError` for other kinds and for a wrong number of entries.
  public func layerKinds(
    _ c: Configuration, _ known: [String], otherwise fallback: @escaping (Int) -> String
  ) throws(ModelError) -> (Int) -> String {
    guard let kinds = try c.optionalTexts("layer_types") else { return fallback }
    try c.check(
      kinds.count == layers, "layer_types", "has \(kinds.count) entries for \(layers) blocks")
    for kind in kinds where !known.contains(kind) {
      throw .unsupportedKey(
        file: c.file, key: "layer_types", value: "\"\(kind)\"",
        reason: "supported are \(known.joined(separator: ", "))")
    }
    return { kinds[$0] }
  }

  /// The rotary frequencies of one kind of blocks, if the configuration has one for each kind.
  public func rotary(
    _ c: Configuration, defaultTheta: Double = 10_000, _ scheme: RotaryFrequencies.Scheme
  ) throws(ModelError) -> RotaryFrequencies {
    try RotaryFrequencies(
      c, dimension: headDimension, defaultTheta: defaultTheta, trained: trained, scheme)
  }
}
