import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

/// What Llama and the families close to it share: a decoder of rotary attention and gated MLPs, mostly with RMSNorms.
///
/// A block is X ↦ Z = X + after(attention(before X)), F = Z + after(mlp(before Z)), each of the four norms where the family
/// has it. Each family's file reads its configuration and tensors into one of these.
struct GatedDecoder: Transformer {
  struct Block: Sendable {
    var beforeAttention, afterAttention: (any NormWeights)?
    var attention: AttentionWeights
    var beforeMLP, afterMLP: (any NormWeights)?
    var mlp: any FeedForward
  }

  /// What stands before the number of a block in a tensor's name.
  private static let blockWords = ["blk.", "layers."]

  let description: ModelDescription
  let source: any TensorSource
  let embedding: StoredMatrix
  /// Factor of the embedding.
  let embeddingScale: Double
  let blocks: [Block]
  let norm: any NormWeights
  /// nil in a checkpoint of a model without one.
  let head: LinearWeights?
  /// c of the soft cap c · tanh(logit / c), if any.
  let logitCap: Double?

  /// Reads embedding, head and, one after another, the blocks. `note` says what
  /// there is to know besides the family's residual function.
  ///
  /// Throws `FileError`, `ModelError`; `ModelError.unreadTensor` for a tensor of a block that was not read.
  init(
    _ file: ModelFile, _ reader: DecoderReader, norm: any NormWeights,
    embeddingScale: Double = 1, logitCap: Double? = nil,
    note: String? = nil, block: (DecoderReader, Int) throws -> Block
  ) throws {
    let (s, weights) = (reader.settings, reader.weights)
    source = file.tensors
    embedding = try weights.table("model.embed_tokens.weight", columns: s.width)
    head = try weights.head("lm_head", tied: s.tiedHead, to: embedding)
    self.norm = norm
    self.embeddingScale = embeddingScale
    self.logitCap = logitCap
    var blocks: [Block] = []
    // One by one: a file that lies about their number must not make room for them all.
    for l in 0..<s.layers { blocks.append(try block(reader.block(l), l)) }
    self.blocks = blocks
    try weights.refuseUnread(after: Self.blockWords)
    description = ModelDescription(
      of: file, layers: s.layers, width: s.width,
      vocabulary: embedding.rows, heads: s.heads, keyValueHeads: s.keyValueHeads,
      feedForwardWidth: s.feedForwardWidth, positions: s.positions,
      residual: file.family.residual + (note.map { "; \($0)" } ?? ""))
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: Self.blockWords) == index }
  }

  /// Experts are read when they are chosen, and not ahead.
  func tensorNames(aheadOfBlock index: Int) -> [String] {
    tensorNames(ofBlock: index).filter {
      !$0.contains(".experts.") && !$0.contains("_exps.")
    }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    let rows: Variable<S> = try embedding.embed(input.tokens)
    return embeddingScale == 1 ? rows : S(embeddingScale) * rows
  }

  func block<S: RealScalar>(_ index: Int, as precision: S.Type) -> any ResidualBlock<S> {
    GatedBlock(block: blocks[index])
  }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { norm(x) }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    guard let logits = head.map({ $0(x) }) else { return nil }
    guard let cap = logitCap.map({ S($0) }) else { return logits }
    return cap * ((1 / cap) * logits).activated(by: .tanh)
  }
}

/// The MLP half of a block, token by token: norms and the sum with the stream are the block's.
protocol FeedForward: Sendable {
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
}

/// A block in one precision.
private struct GatedBlock<Scalar: RealScalar>: ResidualBlock {
  let block: GatedDecoder.Block

  func attention(_ x: ResidualStream<Scalar>, in context: AttentionContext<Scalar>) -> Variable<
    Scalar
  > {
    let h = x.map { block.beforeAttention?($0) ?? $0 }
    let attended = block.attention(h, in: context)
    return block.afterAttention?(attended) ?? attended
  }

  func mlp(_ z: Variable<Scalar>) -> Variable<Scalar> {
    let h = block.mlp(block.beforeMLP?(z) ?? z)
    return block.afterMLP?(h) ?? h
  }
}
