import Checkpoint

extension FamilyDefinition {
  /// Cohere's Command R and R+, and Aya 23: both halves read X after one norm without a bias, neighbouring features
  /// of a head rotate together, and the logits are multiplied by a factor. R+ has norms of the heads' queries and
  /// keys.
  ///
  /// F = X + attention(norm X) + mlp(norm X). Aryabumi et al., arXiv 2405.15032.
  public static let cohere = FamilyDefinition(
    "cohere", residual: DecoderBlock.Arrangement.parallel.residual, gguf: .cohere,
    initialisation: .cohere
  ) { try DecoderModel(cohere: $0) }
}

extension DecoderModel {
  fileprivate init(cohere file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(cohere: c, theta: 500_000)
    let normsHeads = try c.flag("use_qk_norm", default: false)
    let logitScale = try c.number("logit_scale", default: 0.0625)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.layerNorm("model.norm", bias: false), logitScale: logitScale
    ) { block, _ in
      var attention = try block.attention()
      if normsHeads {
        let norm = { (name: String, heads: Int) in
          HeadNormWeights(
            heads: heads,
            gain: try block.weights.numbers(
              "self_attn.\(name).weight", shape: [heads, s.headDimension]), epsilon: s.epsilon)
        }
        attention.queryNorm = try norm("q_norm", s.heads)
        attention.keyNorm = try norm("k_norm", s.keyValueHeads)
      }
      return try DecoderBlock(cohere: block, attention)
    }
  }
}

extension DecoderSettings {
  /// The settings of Cohere and of its successor with windows.
  init(cohere c: Configuration, theta: Double) throws(ModelError) {
    try self.init(
      c,
      .init(
        layers: 40, width: 8192, feedForwardWidth: 22528, heads: 64, positions: 8192, theta: theta,
        tiedHead: true),
      epsilon: try c.positive("layer_norm_eps", default: 1e-5))
    try c.check(
      heads * headDimension == width, "head_dim", "is not width / heads")
    pairing = .interleaved
    attentionBias = try c.flag("attention_bias", default: false)
  }
}

extension DecoderBlock {
  /// A block of Cohere with the given attention.
  init(cohere block: DecoderReader, _ attention: AttentionWeights) throws {
    let norm = try block.layerNorm("input_layernorm", bias: false)
    try self.init(
      .parallel, mixerNorm: norm, mixer: attention, feedForwardNorm: norm,
      feedForward: block.mlp())
  }
}

extension GGUFDialect {
  fileprivate static let cohere = GGUFDialect(
    architecture: "command-r", names: decoder(with: headNorms), pairing: .interleaved,
    settings: { file in
      file.biases().merging(["use_qk_norm": .bool(file.contains("blk.0.attn_q_norm.weight"))]) {
        $1
      }
    })
}

extension Initialisation {
  /// The padding token of Cohere, whose head is tied to the embedding.
  static let cohere = Initialisation(isTied: true, paddingToken: 0)
}
