import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

/// A model of an embedding, blocks as `DecoderBlock` has them, a norm and a head: what most families' files make of their
/// configuration and tensors.
public struct DecoderModel: Transformer {
  /// X⁰ = norm(projection(scale · tokens) + positions), each part where the family has it.
  public struct Embedding: Sendable {
    /// One row per id.
    public var tokens: StoredMatrix
    /// Factor of the tokens' rows.
    public var scale: Double
    /// One row per position, the first of them at this offset.
    public var positions: (table: StoredMatrix, offset: Int)?
    /// To the width of the stream.
    public var projection: LinearWeights?
    /// The norm of the sum.
    public var norm: (any NormWeights)?
    /// Where the blocks' inputs of their own come from, if they have them.
    public var perLayer: PerLayerInput.Source?

    /// An embedding; its arguments are its properties.
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

  /// Logits of the states after the last block.
  public struct Head: Sendable {
    /// The norm after the last block.
    public var norm: (any NormWeights)?
    /// From the width of the stream.
    public var projection: LinearWeights?
    /// nil in a checkpoint of a model without a head.
    public var weights: LinearWeights?
    /// Factor of the logits.
    public var scale: Double
    /// c of the soft cap c · tanh(logit / c), if any.
    public var softCap: Double?

    /// A head; its arguments are its properties.
    public init(
      norm: (any NormWeights)?, projection: LinearWeights? = nil, weights: LinearWeights?,
      scale: Double = 1, softCap: Double? = nil
    ) {
      (self.norm, self.projection, self.weights) = (norm, projection, weights)
      (self.scale, self.softCap) = (scale, softCap)
    }
  }

  /// Sizes and names.
  public let description: ModelDescription
  /// Where the weights come from.
  public let source: any TensorSource
  private let embedding: Embedding
  let blocks: [DecoderBlock]
  private let head: Head
  /// Of the tensors, by block.
  private let names: [Int?: [String]]

  /// Puts a family's parts together, once all of them are read. `blockWord` stands before the number of a block in names;
  /// the arrangement's function is f where `residual` gives no other, and `note` says what else there is to know.
  /// Throws `ModelError.unreadTensor`.
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

  /// Reads blocks one by one: a file that lies about their number must not make room for them all.
  public static func blocks(
    _ count: Int, _ read: (Int) throws -> DecoderBlock
  ) rethrows -> [DecoderBlock] {
    var blocks: [DecoderBlock] = []
    for l in 0..<count { blocks.append(try read(l)) }
    return blocks
  }

  /// Names of the tensors of a block, or of those outside all.
  public func tensorNames(ofBlock index: Int?) -> [String] { names[index] ?? [] }

  /// Those of the block's experts, if it has some.
  public func chosenTensors(ofBlock index: Int) -> ChosenTensors? {
    blocks[index].feedForward?.chosenTensors
  }

  /// X⁰ (tokens, width).
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

  /// The block's input of its own.
  public func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>? {
    guard let source = embedding.perLayer, let x = try? embed(input, as: S.self) else { return nil }
    return source(input.tokens, x, block: index)
  }

  /// The block whose keys and values block `index` looks at.
  public func keyValueSource(ofBlock index: Int) -> Int? {
    blocks.indices.contains(index) ? (blocks[index].mixer as? SharedAttention)?.source : nil
  }

  /// Block `index`, counted from 0.
  public func block(_ index: Int) -> any ResidualBlock { blocks[index] }

  /// The norm after the last block.
  public func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { head.norm?(x) ?? x }

  /// Logits (rows, vocabulary) of normalised states.
  public func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    guard let weights = head.weights else { return nil }
    var logits = weights(head.projection?(x) ?? x)
    if head.scale != 1 { logits = S(head.scale) * logits }
    guard let cap = head.softCap.map({ S($0) }) else { return logits }
    return cap * ((1 / cap) * logits).activated(by: .tanh)
  }
}
