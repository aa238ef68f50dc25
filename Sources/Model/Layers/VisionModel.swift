import Autodiff
import Checkpoint
import LinearAlgebra

/// A model of an image's patches, blocks and a norm, which ViT and its relatives assemble from their configuration
/// and tensors.
struct VisionModel: Transformer {
  /// X⁰ = norm(class token, registers, patches), with the patches row by row, each a linear map of its pixels;
  /// learned positions are added to all but the registers. Norm, class token and registers exist only where the
  /// family has them.
  struct Embedding: Sendable {
    var grid: PatchGrid
    /// The map from a patch's pixels, in the order of a convolution's kernel, to features.
    var projection: LinearWeights
    /// The class token (width); empty without one.
    var classToken: [Float] = []
    /// The registers (registers, width); empty without any.
    var registers: [Float] = []
    /// The positions (class token and patches, width).
    var positions: [Float]
    var norm: LayerNormWeights?
  }

  let description: ModelDescription
  let source: any TensorSource
  private let embedding: Embedding
  private let blocks: [DecoderBlock]
  private let norm: LayerNormWeights
  private let blockWord: String

  /// Assembles a family's parts, once all of them have been read. Throws `ModelError.unreadTensor`.
  init(
    _ file: ModelFile, _ reader: EncoderReader, embedding: Embedding, blocks: [DecoderBlock],
    norm: LayerNormWeights, blockWord: String = "encoder.layer."
  ) throws(ModelError) {
    try reader.weights.refuseUnread(after: [blockWord])
    source = file.tensors
    self.blockWord = blockWord
    (self.embedding, self.blocks, self.norm) = (embedding, blocks, norm)
    let grid = embedding.grid
    let others = (embedding.classToken.count + embedding.registers.count) / reader.width
    description = ModelDescription(
      of: file, layers: blocks.count, width: reader.width, vocabulary: 0, heads: reader.heads,
      keyValueHeads: reader.heads, feedForwardWidth: reader.feedForwardWidth,
      positions: others + grid.count,
      input: .image(
        channels: grid.channels, height: grid.image.height, width: grid.image.width),
      isCausal: false)
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: [blockWord]) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    guard case .image(let image) = input else {
      throw .wrongInput(given: "tokens", needed: "\(description.input)")
    }
    let (patch, e) = (embedding.grid.patch, embedding)
    let patches = e.projection(
      Variable<S>(image.patches(height: patch.height, width: patch.width))
    ).value
    let placed = zip(e.classToken.map { S($0) } + patches.elements, e.positions)
      .map { $0 + S($1) }
    let tokens =
      placed.prefix(e.classToken.count) + e.registers.map { S($0) }
      + placed.dropFirst(e.classToken.count)
    let x = Variable(
      Matrix(
        rows: tokens.count / description.width, columns: description.width,
        elements: Array(tokens)))
    return e.norm?(x) ?? x
  }

  func block(_ index: Int) -> any ResidualBlock { blocks[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { norm(x) }

  /// nil: classes are not tokens.
  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? { nil }
}
