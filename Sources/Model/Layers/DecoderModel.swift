import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

/// A model of an embedding, blocks of type `DecoderBlock`, a norm and a head, which most families assemble from their
/// configuration and tensors.
public struct DecoderModel: Transformer {
  /// X⁰ = norm(projection(scale · tokens) + positions), with each part only where the family has it.
  public struct Embedding: Sendable {
    /// The table of token embeddings, one row per id.
    public var tokens: StoredMatrix
    /// The factor of the token embeddings.
    public var scale: Double
    /// The table of position embeddings, one row per position, with the first position's row at this offset.
    public var positions: (table: StoredMatrix, offset: Int)?
    /// The map to the width of the stream.
    public var projection: LinearWeights?
    /// The norm of the sum.
    public var norm: (any NormWeights)?
    /// The source of the blocks' side inputs, if they have them.
    public var perLayer: PerLayerInput.Source?

    /// Creates an embedding from its properties.
    public init(
      tokens: StoredMatrix, scale: Double = 1,
      positions: (table: StoredMatrix, offset: Int)? = nil, projection: LinearWeights? = nil,
      norm: (any NormWeights)? = nil, perLayer: PerLayerInput.Source? = nil
    ) {
      self.tokens = tokens
      self.scale = scale
      self.positions = positions
      self.projection = projection
      self.norm = norm
      self.perLayer = perLayer
    }
  }

  /// The head, which computes logits of the states after the last block.
  public struct Head: Sendable {
    /// The norm after the last block.
    public var norm: (any NormWeights)?
    /// The map from the width of the stream.
    public var projection: LinearWeights?
    /// The map to the logits; nil in a checkpoint of a model without a head.
    public var weights: LinearWeights?
    /// The factor of the logits.
    public var scale: Double
    /// The c of the soft cap c · tanh(logit / c); nil for no cap.
    public var softCap: Double?

    /// Creates a head from its properties.
    public init(
      norm: (any NormWeights)?, projection: LinearWeights? = nil, weights: LinearWeights?,
      scale: Double = 1, softCap: Double? = nil
    ) {
      (self.norm, self.projection, self.weights) = (norm, projection, weights)
      (self.scale, self.softCap) = (scale, softCap)
    }
  }

  /// The model's sizes and names.
  public let description: ModelDescription
  /// The source of the weights.
  public let source: any TensorSource
  private let embedding: Embedding
  let blocks: [DecoderBlock]
  private let head: Head
  /// The names of the tensors, by block.
  private let names: [Int?: [String]]

  /// Assembles a family's parts, once all of them have been read. `blockWord` precedes the number of a block in
  /// names. The text of f is that of the blocks' arrangement unless `residual` is given; `note` adds anything else
  /// there is to know. Throws `ModelError.unreadTensor`.
  public init(
    _ file: ModelFile, _ weights: WeightReader, width: Int, heads: Int, keyValueHeads: Int,
    feedForwardWidth: Int, positions: Int?, embedding: Embedding, blocks: [DecoderBlock],
    head: Head, isCausal: Bool = true, blockWord: String = "layers.", residual: String? = nil,
    note: String? = nil
  ) throws(ModelError) {
    let words = file.format == .gguf ? ["blk."] : [blockWord]
    try weights.refuseUnread(after: words)
    source = file.tensors
    names = Dictionary(grouping: source.tensors.map(\.name)) { blockNumber($0, after: words) }
    self.embedding = embedding
    self.blocks = blocks
    self.head = head
    // There is at least one block.
    let function = residual ?? blocks[0].arrangement.residual
    description = ModelDescription(
      of: file, layers: blocks.count, width: width, vocabulary: embedding.tokens.rows,
      heads: heads, keyValueHeads: keyValueHeads, feedForwardWidth: feedForwardWidth,
      positions: positions, isCausal: isCausal,
      residual: function + (note.map { "; \($0)" } ?? ""))
  }

  /// Reads blocks one by one, so that a file that lies about their number does not make us allocate for all of them.
  public static func blocks(
    _ count: Int, _ read: (Int) throws -> DecoderBlock
  ) rethrows -> [DecoderBlock] {
    var blocks: [DecoderBlock] = []
    for l in 0..<count { blocks.append(try read(l)) }
    return blocks
  }

  /// The names of the tensors of a block, or of those outside all blocks.
  public func tensorNames(ofBlock index: Int?) -> [String] { names[index] ?? [] }

  /// The tensors of the block's experts, if it has any.
  public func chosenTensors(ofBlock index: Int) -> ChosenTensors? {
    blocks[index].feedForward?.chosenTensors
  }

  /// The embedding X⁰ (tokens, width).
  public func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    var x: Variable<S> = try embedding.tokens.embed(input.tokens)
    if embedding.scale != 1 { x = S(embedding.scale) * x }
    if let projection = embedding.projection { x = projection(x) }
    if let (table, offset) = embedding.positions {
      x = x + (try table.embed(input.tokens.indices.map { $0 + offset }))
    }
    return embedding.norm?(x) ?? x
  }

  /// The block's side input.
  public func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>? {
    guard let source = embedding.perLayer, let x = try? embed(input, as: S.self) else { return nil }
    return source(input.tokens, x, block: index)
  }

  /// The earlier block whose keys and values block `index` attends to.
  public func keyValueSource(ofBlock index: Int) -> Int? {
    blocks.indices.contains(index) ? (blocks[index].mixer as? SharedAttention)?.source : nil
  }

  /// Block `index`, counted from 0.
  public func block(_ index: Int) -> any ResidualBlock { blocks[index] }

  /// The norm after the last block.
  public func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { head.norm?(x) ?? x }

  /// The logits (rows, vocabulary) of normalised states.
  public func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    guard let weights = head.weights else { return nil }
    var logits = weights(head.projection?(x) ?? x)
    if head.scale != 1 { logits = S(head.scale) * logits }
    guard let cap = head.softCap.map({ S($0) }) else { return logits }
    return cap * ((1 / cap) * logits).activated(by: .tanh)
  }

  /// The matrix of the head, which may be the embedding.
  public var headWeights: StoredMatrix? { head.weights?.weights }
}
