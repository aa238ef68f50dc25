import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// BART's decoder; see `BART`.
  public static let bart = FamilyDefinition(
    "bart",
    residual: "of the decoder, with the encoder's output held: f(X) = F(X) − X, "
      + "Y = norm(X + attention X), Z = norm(Y + cross Y), F = norm(Z + mlp Z); the stream itself "
      + "is normalised, so f also contains what the norms remove; the site attention is both "
      + "attentions; no norm follows the last block, so the last block normed is the same as "
      + "residual",
    initialisation: Initialisation(
      key: "init_std", isTied: true, paddingToken: 1,
      exceptions: { _, _ in [("final_logits_bias", .constant(0))] })
  ) { try BART($0) }
}

/// The decoder of BART, which is a T5 with the conventions of BERT: norms after each sum, biases, learned positions.
///
/// A block is X ↦ Y = norm(X + attention X), Z = norm(Y + cross Y), F = norm(Z + mlp Z); the attention half is Z − X.
/// Cross-attention attends to the output of the encoder, which runs once on its own tokens and is held. The head is
/// the embedding plus a bias stored in the file. Lewis et al., arXiv 1910.13461.
struct BART: Transformer {
  /// The embedding of words and positions of one of the two stacks, normalised.
  struct Embedding: Sendable {
    let words, positions: StoredMatrix
    let scale: Double
    let norm: LayerNormWeights

    /// The number of rows before the first position, which no token uses.
    static let offset = 2

    func callAsFunction<S: RealScalar>(_ tokens: [Int]) throws(ModelError) -> Variable<S> {
      let x: Variable<S> = try words.embed(tokens)
      let places: Variable<S> = try positions.embed(tokens.indices.map { $0 + Self.offset })
      return norm((scale == 1 ? x : S(scale) * x) + places)
    }
  }

  private static let blockWords = ["decoder.layers."]
  private static let encoderWords = ["encoder.layers."]

  let description: ModelDescription
  let source: any TensorSource
  private let embedding, encoderEmbedding: Embedding
  private let encoder: [DecoderBlock]
  private let decoder: [BARTBlock]
  /// The head; nil in a checkpoint of a model without one.
  private let head: LinearWeights?

  /// Reads a model of this family. Throws `ModelError`, `FileError`.
  init(_ file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "model.", alternatives: [""], probe: "decoder.layernorm_embedding.weight")
    let (width, activation) = (
      try c.size("d_model", "hidden_size", default: 1024),
      try Activation(c, "activation_function", default: "gelu")
    )
    let stack = { (name: String, layers: Int, inner: Int, heads: Int) throws(ModelError) in
      try c.check(
        width % heads == 0, "\(name)_attention_heads",
        "is \(heads), which does not divide the width \(width)")
      return EncoderReader(
        weights, layers: layers, width: width, feedForwardWidth: inner, heads: heads,
        epsilon: 1e-5, activation: activation)
    }
    let encoder = try stack(
      "encoder", try c.size("encoder_layers", "num_hidden_layers", default: 12),
      try c.size("encoder_ffn_dim", default: 4096),
      try c.size("encoder_attention_heads", "num_attention_heads", default: 16))
    let decoder = try stack(
      "decoder", try c.size("decoder_layers", default: 12),
      try c.size("decoder_ffn_dim", default: 4096),
      try c.size("decoder_attention_heads", default: 16))
    let limit = try c.size("max_position_embeddings", default: 1024)
    let vocabulary = try c.size("vocab_size", default: 50265)
    let isScaled = try c.flag("scale_embedding", default: false)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    let start = try c.optionalID("decoder_start_token_id") ?? 2
    try c.refuseUnread()

    // If tied, they are one matrix under any of its names; if stored more than once, each stack has its own.
    let words = { (stack: String) in
      let names = ["\(stack).embed_tokens", "shared", "decoder.embed_tokens"].map { "model.\($0)" }
      return try decoder.table(
        names.first { weights.contains("\($0).weight") } ?? names[1], rows: vocabulary)
    }
    let embedding = { (stack: String) in
      Embedding(
        words: try words(stack),
        positions: try decoder.table(
          "model.\(stack).embed_positions", rows: limit + Embedding.offset),
        scale: isScaled ? Double(width).squareRoot() : 1,
        norm: try decoder.norm("model.\(stack).layernorm_embedding"))
    }
    (self.embedding, encoderEmbedding) = (try embedding("decoder"), try embedding("encoder"))
    self.encoder = try encoder.blocks(of: "model.", .normAfter, .bart)
    var blocks: [BARTBlock] = []
    // One by one, so that a file that lies about their number does not make us allocate for all of them.
    for l in 0..<decoder.layers {
      blocks.append(try BARTBlock(decoder, weights.scoped("model.decoder.layers.\(l).")))
    }
    self.decoder = blocks
    var head = try weights.head("lm_head", tied: isTied, to: self.embedding.words)
    let bias = "final_logits_bias"
    if weights.contains(bias) { head?.bias = try weights.numbers(bias, shape: [1, vocabulary]) }
    self.head = head
    try weights.refuseUnread(after: Self.blockWords + Self.encoderWords)
    source = file.tensors
    description = ModelDescription(
      of: file, layers: decoder.layers, width: width, vocabulary: vocabulary,
      heads: decoder.heads, keyValueHeads: decoder.heads,
      feedForwardWidth: decoder.feedForwardWidth, positions: limit,
      input: .decoder(start: start))
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: Self.blockWords) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> { try embedding(input.tokens) }

  func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    try encode(try encoderEmbedding(tokens), through: encoder, after: Self.encoderWords)
  }

  func block(_ index: Int) -> any ResidualBlock { decoder[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { x }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? { head?(x) }

  var headWeights: StoredMatrix? { head?.weights }
}

/// A block of the decoder.
struct BARTBlock: ResidualBlock {
  private let selfAttention: AttentionWeights
  private let cross: CrossAttention
  private let attentionNorm, crossNorm, mlpNorm: LayerNormWeights
  private let feedForward: MLPWeights

  fileprivate init(_ r: EncoderReader, _ block: WeightReader) throws {
    let names = EncoderReader.Names.bart
    var attention = try r.attention(block, names)
    attention.isCausal = true
    selfAttention = attention
    let map = { (name: String) in
      try block.linear("encoder_attn.\(name)", outputs: r.width, inputs: r.width, bias: true)
    }
    cross = CrossAttention(
      heads: r.heads, headDimension: r.width / r.heads,
      scale: 1 / Double(r.width / r.heads).squareRoot(), query: try map("q_proj"),
      key: try map("k_proj"), value: try map("v_proj"), output: try map("out_proj"))
    attentionNorm = try r.norm(names.attentionNorm, in: block)
    crossNorm = try r.norm("encoder_attn_layer_norm", in: block)
    mlpNorm = try r.norm(names.mlpNorm, in: block)
    feedForward = try r.mlp(block, names)
  }

  var headCount: Int { selfAttention.heads }

  func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let y = attentionNorm(x.target + selfAttention(x, in: context))
    return crossNorm(y + cross(y, in: context)) - x.target
  }

  func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S> { mlpNorm(z + feedForward(z)) - z }
}

extension EncoderReader.Names {
  fileprivate static let bart = {
    var names = clip
    (names.attentionNorm, names.mlpNorm) = ("self_attn_layer_norm", "final_layer_norm")
    (names.up, names.down) = ("fc1", "fc2")
    return names
  }()
}
