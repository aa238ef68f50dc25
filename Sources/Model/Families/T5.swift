import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// T5, its version 1.1 and models derived from it: the decoder; see `T5`.
  public static let t5 = FamilyDefinition(
    "t5",
    residual: "of the decoder, with the encoder's output held: f(X) = attention(norm X) + "
      + "cross(norm Y) + mlp(norm Z), Y = X + attention(norm X), Z = Y + cross(norm Y); the site "
      + "attention is both attentions", gguf: .t5, initialisation: .t5
  ) { try T5($0) }
}

/// The decoder of T5, of its version 1.1 and of models trained from that (lm-adapted, Flan).
///
/// A block is X ↦ Y = X + attention(norm X), Z = Y + cross(norm Y), F = Z + mlp(norm Z), and f = F − X is the sum of
/// all three; the attention half is both attentions, Z − X. It has RMSNorm, no biases, and unscaled scores with a
/// learned bias that depends on the distance between query and key and is shared by all blocks of a stack.
/// Cross-attention attends to the output of the encoder, which runs once on its own tokens and is held. The first
/// version has a ReLU MLP and scales the states by width^−½ before the head, which is the embedding; version 1.1 has
/// a gated MLP and a head of its own. Raffel et al., arXiv 1910.10683; Shazeer, arXiv 2002.05202.
struct T5: Transformer {
  struct Stack: Sendable {
    let blocks: [T5Block]
    let norm: RMSNormWeights
  }

  /// The configuration, with the reference implementation's defaults.
  struct Settings: Sendable {
    let width, feedForwardWidth, heads, headDimension, decoderLayers, encoderLayers, buckets,
      reach: Int
    let epsilon: Double
    let activation: Activation
    let isGated, isTied, scalesLogits: Bool
    let start: Int

    init(_ c: Configuration) throws(ModelError) {
      width = try c.size("d_model", "hidden_size", default: 512)
      feedForwardWidth = try c.size("d_ff", default: 2048)
      heads = try c.size("num_heads", "num_attention_heads", default: 8)
      headDimension = try c.size("d_kv", "head_dim", default: 64)
      encoderLayers = try c.size("num_layers", "num_hidden_layers", default: 6)
      decoderLayers = try c.size("num_decoder_layers", default: encoderLayers)
      buckets = try c.size("relative_attention_num_buckets", default: 32)
      reach = try c.size("relative_attention_max_distance", default: 128)
      epsilon = try c.positive("layer_norm_epsilon", default: 1e-6)
      try c.check(
        buckets >= 4, "relative_attention_num_buckets", "must be at least 4")
      try c.check(
        reach > buckets / 2 && reach <= 1 << 20, "relative_attention_max_distance",
        "must be more than half of the buckets and at most 2²⁰")
      // `relu`, `gated-gelu`, …; gelu in a gate means its tanh approximation.
      let projection = try c.text("feed_forward_proj", default: "relu")
      let parts = projection.split(separator: "-", omittingEmptySubsequences: false)
      try c.check(
        parts.count == 1 || parts.count == 2 && parts[0] == "gated", "feed_forward_proj",
        "must name an activation, or gated- and one")
      isGated = try c.flag("is_gated_act", default: parts.count == 2)
      activation = try Activation(
        c, "dense_act_fn", default: projection == "gated-gelu" ? "gelu_new" : String(parts.last!))
      isTied = try c.flag("tie_word_embeddings", default: true)
      // Null means false here.
      let scale = "scale_decoder_outputs"
      scalesLogits = try c.flag(scale, default: isTied && !c.mentions(scale))
      let pad = try c.optionalID("pad_token_id") ?? 0
      start = try c.optionalID("decoder_start_token_id") ?? pad
      try c.refuseUnread()
    }
  }

  static let (blockWords, encoderWords) = (
    ["decoder.block.", "dec.blk."], ["encoder.block.", "enc.blk."]
  )

  let settings: Settings
  let description: ModelDescription
  let source: any TensorSource
  let embedding: StoredMatrix
  /// The head; nil in a checkpoint of a model without one.
  let head: LinearWeights?
  let encoder, decoder: Stack

  /// Reads a model of this family. Throws `ModelError`, `FileError`.
  init(_ file: ModelFile) throws {
    settings = try Settings(file.configuration)
    let s = settings
    let weights = file.weights(
      prefix: "transformer.", alternatives: [""],
      probe: "decoder.final_layer_norm.weight", basePrefixed: true)
    // One matrix, stored under any of its names.
    let names = ["shared", "decoder.embed_tokens", "encoder.embed_tokens"].map {
      "transformer.\($0).weight"
    }
    let vocabulary = try file.configuration.size("vocab_size", default: 32128)
    let matrix = { (name: String) in try weights.matrix(name, rows: vocabulary, columns: s.width) }
    embedding = try matrix(names.first { weights.contains($0) } ?? names[0])
    head = try weights.head("lm_head", tied: s.isTied, to: embedding)
    encoder = try Stack(weights, "transformer.encoder.", s, isDecoder: false)
    decoder = try Stack(weights, "transformer.decoder.", s, isDecoder: true)
    try weights.refuseUnread(after: Self.blockWords + Self.encoderWords)
    source = file.tensors
    description = ModelDescription(
      of: file, layers: s.decoderLayers, width: s.width,
      vocabulary: vocabulary, heads: s.heads, keyValueHeads: s.heads,
      feedForwardWidth: s.feedForwardWidth,
      input: .decoder(start: s.start))
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: Self.blockWords) == index }
  }

  // MARK: Computation

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    try embedding.embed(input.tokens)
  }

  func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    let x: Variable<S> = try embedding.embed(tokens)
    return encoder.norm(try encode(x, through: encoder.blocks, after: Self.encoderWords))
  }

  func block(_ index: Int) -> any ResidualBlock { decoder.blocks[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    decoder.norm(x)
  }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    head.map { $0(settings.scalesLogits ? 1 / S(settings.width).squareRoot() * x : x) }
  }

  var headWeights: StoredMatrix? { head?.weights }
}

extension T5.Stack {
  /// Reads the encoder or the decoder.
  fileprivate init(
    _ weights: WeightReader, _ stack: String, _ s: T5.Settings, isDecoder: Bool
  ) throws {
    let inner = s.heads * s.headDimension
    let linear = { (name: String, outputs: Int, inputs: Int) in
      try weights.linear(name, outputs: outputs, inputs: inputs, bias: false)
    }
    let norm = { (layer: String) in
      RMSNormWeights(
        gain: try weights.vector("\(layer)layer_norm.weight", count: s.width), epsilon: s.epsilon)
    }
    let projections = { (name: String) in
      try "qkv".map { try linear("\(name).\($0)", inner, s.width) }
        + [try linear("\(name).o", s.width, inner)]
    }
    let table = try weights.matrix(
      "\(stack)block.0.layer.0.SelfAttention.relative_attention_bias.weight", rows: s.buckets,
      columns: s.heads)
    let bias = RelativeBias(
      (0..<s.buckets).map { table.row($0) }, reach: s.reach, isCausal: isDecoder)
    var blocks: [T5Block] = []
    // One by one, so that a file that lies about their number does not make us allocate for all of them.
    for l in 0..<(isDecoder ? s.decoderLayers : s.encoderLayers) {
      let block = "\(stack)block.\(l).layer."
      let own = try projections(block + "0.SelfAttention")
      let other = isDecoder ? try projections(block + "1.EncDecAttention") : []
      let mlp = block + (isDecoder ? "2." : "1.")
      let dense = mlp + "DenseReluDense."
      blocks.append(
        T5Block(
          attentionNorm: try norm(block + "0."),
          selfAttention: AttentionWeights(
            heads: s.heads, keyValueHeads: s.heads, headDimension: s.headDimension,
            projection: .separate(query: own[0], key: own[1], value: own[2]), output: own[3],
            scale: 1, isCausal: isDecoder,
            bias: { head, query, key in bias(head: head, distance: key - query) }),
          cross: isDecoder
            ? (
              try norm(block + "1."),
              CrossAttention(
                heads: s.heads, headDimension: s.headDimension, scale: 1, query: other[0],
                key: other[1], value: other[2], output: other[3])
            ) : nil,
          mlpNorm: try norm(mlp),
          feedForward: MLPWeights(
            gate: s.isGated ? try linear(dense + "wi_0", s.feedForwardWidth, s.width) : nil,
            up: try linear(dense + (s.isGated ? "wi_1" : "wi"), s.feedForwardWidth, s.width),
            down: try linear(dense + "wo", s.width, s.feedForwardWidth), activation: s.activation)))
    }
    self.blocks = blocks
    self.norm = RMSNormWeights(
      gain: try weights.vector("\(stack)final_layer_norm.weight", count: s.width),
      epsilon: s.epsilon)
  }
}

/// A block of the decoder or, without cross-attention, of the encoder.
struct T5Block: ResidualBlock {
  let attentionNorm: RMSNormWeights
  let selfAttention: AttentionWeights
  /// The cross-attention with its norm; nil in the encoder.
  let cross: (norm: RMSNormWeights, attention: CrossAttention)?
  let mlpNorm: RMSNormWeights
  /// The MLP, gated in version 1.1.
  let feedForward: MLPWeights

  var headCount: Int { selfAttention.heads }

  func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let attended = selfAttention(x.map { attentionNorm($0) }, in: context)
    guard let cross else { return attended }
    return attended + cross.attention(cross.norm(x.target + attended), in: context)
  }

  func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S> { feedForward(mlpNorm(z)) }
}

extension Initialisation {
  /// The initialisation. The deviation of each matrix is a common factor divided by the root of its inputs; that of
  /// queries also includes the division that scores lack. The embedding's deviation is the factor, and gains are the
  /// factor.
  fileprivate static let t5 = Initialisation(
    key: "initializer_factor", deviation: 1, isTied: true, hasPadding: false,
    exceptions: { file, factor in
      let s = try T5.Settings(file.configuration)
      let (width, head) = (Double(s.width), Double(s.headDimension))
      let normal = { (inputs: Double) in Initialiser.normal(deviation: factor / inputs.squareRoot())
      }
      return [
        (".q", normal(width * head)), (".k", normal(width)), (".v", normal(width)),
        (".o", normal(Double(s.heads) * head)), ("relative_attention_bias", normal(width)),
        (".wi", normal(width)), (".wi_0", normal(width)), (".wi_1", normal(width)),
        (".wo", normal(Double(s.feedForwardWidth))), ("layer_norm", .constant(Float(factor))),
      ]
    })
}
