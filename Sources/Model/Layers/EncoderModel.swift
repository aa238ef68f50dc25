import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

/// A model of a token embedding, blocks of type `DecoderBlock` and, in some checkpoints, a head that predicts masked
/// tokens, which BERT and its relatives assemble from their configuration and tensors.
struct EncoderModel: Transformer {
  /// X⁰ = projection(norm(words + positions + type)), with each part only where the family has it.
  struct Embedding: Sendable {
    /// The table of word embeddings, one row per id.
    var words: StoredMatrix
    var positions: Positions?
    /// The embedding of the first token type, which is that of all tokens here.
    var type: [Float]?
    var norm: LayerNormWeights?
    /// The map to the width of the stream.
    var projection: LinearWeights?
  }

  /// Learned positions, one row for each.
  struct Positions: Sendable {
    let table: StoredMatrix
    /// The padding token, if positions have one: its position is the row of its own id; the other tokens are numbered
    /// without it and start at the next row.
    var padding: Int?

    /// The number of tokens there are rows for.
    var limit: Int { table.rows - (padding.map { $0 + 1 } ?? 0) }

    func rows(of ids: [Int]) -> [Int] {
      guard let padding else { return Array(ids.indices) }
      var last = padding
      return ids.map { id in
        guard id != padding else { return padding }
        last += 1
        return last
      }
    }
  }

  /// The head that predicts masked tokens: U norm(φ(W x)) + c.
  struct Head: Sendable {
    let transform: LinearWeights
    let activation: Activation
    let norm: LayerNormWeights
    let output: LinearWeights
  }

  let description: ModelDescription
  let source: any TensorSource
  private let embedding: Embedding
  let blocks: [DecoderBlock]
  /// The final norm; nil where blocks end in a norm of their own.
  private let norm: LayerNormWeights?
  /// The head; nil in checkpoints of the bare encoder.
  private let head: Head?
  private let blockWords: [String]

  /// Assembles a family's parts, once all of them have been read. `positions` is the largest number of tokens, for
  /// embeddings without rows for positions. Throws `ModelError.unreadTensor`.
  init(
    _ file: ModelFile, _ reader: EncoderReader, embedding: Embedding, blocks: [DecoderBlock],
    norm: LayerNormWeights? = nil, head: Head?, positions: Int? = nil, isCausal: Bool = false,
    blockWord: String = "encoder.layer."
  ) throws(ModelError) {
    blockWords = file.format == .gguf ? ["blk."] : [blockWord]
    try reader.weights.refuseUnread(after: blockWords)
    source = file.tensors
    (self.embedding, self.blocks, self.norm, self.head) = (embedding, blocks, norm, head)
    description = ModelDescription(
      of: file, layers: blocks.count, width: reader.width, vocabulary: embedding.words.rows,
      heads: reader.heads, keyValueHeads: reader.heads, feedForwardWidth: reader.feedForwardWidth,
      positions: embedding.positions?.limit ?? positions, isCausal: isCausal)
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: blockWords) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    let ids = input.tokens
    var x: Variable<S> = try embedding.words.embed(ids)
    if let positions = embedding.positions {
      x = x + (try positions.table.embed(positions.rows(of: ids)))
    }
    if let type = embedding.type { x = x.adding(type.map { S($0) }) }
    x = embedding.norm?(x) ?? x
    return embedding.projection?(x) ?? x
  }

  func block(_ index: Int) -> any ResidualBlock { blocks[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { norm?(x) ?? x }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    head.map { $0.output($0.norm($0.transform(x).activated(by: $0.activation))) }
  }

  var headWeights: StoredMatrix? { head?.output.weights }
}
