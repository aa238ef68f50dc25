import Checkpoint

extension FamilyDefinition {
  /// NanoChat: norms without gains, also of the embedding and of rotated queries and keys; an MLP with a squared ReLU
  /// and no gate; a soft cap on the logits. Heads rotate in the opposite direction.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Karpathy, *nanochat*, 2025.
  public static let nanoChat = FamilyDefinition(
    "nanochat", initialisation: .nanoChat
  ) { try DecoderModel(nanoChat: $0) }
}

extension DecoderModel {
  fileprivate init(nanoChat file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 12, width: 768, feedForwardWidth: 8192, heads: 6,
        activation: ("hidden_act", "relu2")))
    s.rotary.isReversed = true
    s.attentionBias = try c.flag("attention_bias", default: false)
    let logitCap = try c.nullablePositive("final_logit_softcapping", absent: 15)
    try c.refuseUnread()
    let norm = { (count: Int) in
      RMSNormWeights(gain: Array(repeating: 1, count: count), epsilon: s.epsilon)
    }
    try self.init(
      file, DecoderReader(file, s), norm: norm(s.width), embeddingNorm: norm(s.width),
      logitCap: logitCap, note: "X⁰ is the normalised embedding"
    ) { block, _ in
      var attention = try block.attention()
      attention.queryNorm = norm(s.headDimension)
      attention.keyNorm = norm(s.headDimension)
      attention.rotatesFirst = true
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.weights.linear(name, outputs: outputs, inputs: inputs, bias: false)
      }
      return DecoderBlock(
        mixerNorm: norm(s.width), mixer: attention, feedForwardNorm: norm(s.width),
        feedForward: MLPWeights(
          up: try linear("mlp.fc1", s.feedForwardWidth, s.width),
          down: try linear("mlp.fc2", s.width, s.feedForwardWidth), activation: s.activation))
    }
  }
}

extension Initialisation {
  /// The initialisation. The maps from attention back into the stream are scaled down by √(2 · number of blocks).
  fileprivate static let nanoChat = Initialisation(
    paddingToken: 1,
    exceptions: { file, deviation in
      let layers = try file.configuration.size("num_hidden_layers", default: 12)
      return [("o_proj", .normal(deviation: deviation / (2 * Double(layers)).squareRoot()))]
    })
}
