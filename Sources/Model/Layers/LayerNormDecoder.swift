import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

/// What GPT-2 and its many descendants share: a decoder with LayerNorms, whose families differ in how a block is arranged,
/// in positions and in names. Each family's file reads its configuration and tensors into one of these.
struct LayerNormDecoder: Transformer {
  /// The order of norms and sums in a block, whose halves add Z − X and F − Z to the stream.
  enum Arrangement: Sendable {
    /// Z = X + attention(norm X), F = Z + mlp(norm′ Z).
    case sequential
    /// F = X + attention(norm X) + mlp(norm′ X).
    case parallel
    /// Z = norm(X + attention X), F = norm′(Z + mlp Z).
    case normAfter
    /// Z = norm X + attention(norm X), F = norm′ Z + mlp(norm′ Z).
    case normedStream
  }

  struct Layer: Sendable {
    var attentionNorm: LayerNormWeights
    var attention: AttentionWeights
    var mlpNorm: LayerNormWeights
    var mlp: MLPWeights
  }

  struct Embedding: Sendable {
    var tokens: StoredMatrix
    /// One row a position, the first of them at this offset.
    var positions: (table: StoredMatrix, offset: Int)?
    /// To the width of the stream.
    var projection: LinearWeights?
    var norm: LayerNormWeights?
  }

  struct Head: Sendable {
    var norm: LayerNormWeights?
    /// From the width of the stream.
    var projection: LinearWeights?
    /// nil in a checkpoint of a model without a head.
    var weights: LinearWeights?
  }

  let description: ModelDescription
  let source: any TensorSource
  let arrangement: Arrangement
  let embedding: Embedding
  let layers: [Layer]
  let head: Head
  /// What stands before the number of a block in a tensor's name.
  let blockWords: [String]

  /// Puts a family's parts together, once all of them are read. `note` says what there is to know besides the arrangement.
  /// Throws `ModelError.unreadTensor`.
  init(
    _ file: ModelFile, _ weights: WeightReader, arrangement: Arrangement,
    positions: Int?, embedding: Embedding, layers: [Layer], head: Head, blockWord: String,
    note: String? = nil
  ) throws(ModelError) {
    let blockWords = file.format == .gguf ? ["blk."] : [blockWord]
    try weights.refuseUnread(after: blockWords)
    source = file.tensors
    self.arrangement = arrangement
    self.embedding = embedding
    self.layers = layers
    self.head = head
    self.blockWords = blockWords
    // There is at least one layer.
    let (attention, mlp) = (layers[0].attention, layers[0].mlp)
    description = ModelDescription(
      of: file, layers: layers.count,
      width: attention.output.outputs, vocabulary: embedding.tokens.rows,
      heads: attention.heads, keyValueHeads: attention.keyValueHeads,
      feedForwardWidth: mlp.up.outputs, positions: positions,
      residual: arrangement.residual + (note.map { "; \($0)" } ?? ""))
  }

  /// Reads blocks one by one: a file that lies about their number must not make room for them all.
  static func blocks(_ count: Int, _ read: (Int) throws -> Layer) rethrows -> [Layer] {
    var layers: [Layer] = []
    for l in 0..<count { layers.append(try read(l)) }
    return layers
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: blockWords) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    var x: Variable<S> = try embedding.tokens.embed(input.tokens)
    if let projection = embedding.projection { x = projection(x) }
    if let (table, offset) = embedding.positions {
      x = x + (try table.embed(input.tokens.indices.map { $0 + offset }))
    }
    return embedding.norm.map { $0(x) } ?? x
  }

  func block<S: RealScalar>(_ index: Int, as precision: S.Type) -> any ResidualBlock<S> {
    LayerNormBlock(layer: layers[index], arrangement: arrangement)
  }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { head.norm.map { $0(x) } ?? x }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    head.weights.map { $0(head.projection.map { $0(x) } ?? x) }
  }
}

extension LayerNormDecoder.Arrangement {
  /// What f is here, for people.
  var residual: String {
    switch self {
    case .sequential:
      "f(X) = attention(norm X) + mlp(norm Z), Z = X + attention(norm X); "
        + "the block's input is not normalised"
    case .parallel:
      "f(X) = F(X) − X = attention(norm X) + mlp(norm X); both halves read the block's input, "
        + "and the sites attention and mlp are both at X"
    case .normAfter:
      "f(X) = F(X) − X, Z = norm(X + attention X), F = norm(Z + mlp Z); the stream itself is "
        + "normalised, so f also holds what the norms take away"
    case .normedStream:
      "f(X) = F(X) − X, Z = norm X + attention(norm X), F = norm Z + mlp(norm Z); the stream "
        + "itself is normalised, so f also holds what the norms take away"
    }
  }
}

/// An MLP as stored: down(φ(up x)), or down(φ(gate x) ∘ up x).
struct MLPWeights: FeedForward {
  var gate: LinearWeights?
  var up: LinearWeights
  var down: LinearWeights
  var activation: Activation

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    guard let gate else { return down(up(x).activated(by: activation)) }
    return down(gate(x).activated(by: activation) * up(x))
  }
}

/// One block in one precision.
struct LayerNormBlock<Scalar: RealScalar>: ResidualBlock {
  let layer: LayerNormDecoder.Layer
  let arrangement: LayerNormDecoder.Arrangement

  var isParallel: Bool { arrangement == .parallel }

  func attention(_ x: ResidualStream<Scalar>, in context: AttentionContext<Scalar>) -> Variable<
    Scalar
  > {
    if arrangement == .normAfter {
      return layer.attentionNorm(x.target + layer.attention(x, in: context)) - x.target
    }
    let h = x.map { layer.attentionNorm($0) }
    let attended = layer.attention(h, in: context)
    return arrangement == .normedStream ? h.target + attended - x.target : attended
  }

  func mlp(_ z: Variable<Scalar>) -> Variable<Scalar> {
    if arrangement == .normAfter { return layer.mlpNorm(z + layer.mlp(z)) - z }
    let h = layer.mlpNorm(z)
    return arrangement == .normedStream ? h + layer.mlp(h) - z : layer.mlp(h)
  }
}
