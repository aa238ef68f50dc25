import Files
import Autodiff
import Checkpoint
import LinearAlgebra
import Processes
import Weights

/// A model as a sequence of residual blocks. Each family has one conforming type, in a file of its own.
public protocol Transformer: Sendable {
  /// The model's sizes and names.
  var description: ModelDescription { get }
  /// The embedding X⁰ (tokens, width) of one prompt, the input of the first block. Precondition: the input passes the
  /// description's `check`.
  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S>
  /// The output (tokens, width) of an encoder-decoder model's encoder, which the decoder's blocks attend to and which
  /// is held.
  func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S>
  /// Block `index`, counted from 0.
  func block(_ index: Int) -> any ResidualBlock
  /// The norm after the last block; the identity if there is none.
  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// The logits (rows, vocabulary) of normalised states; nil in a model without a head that predicts tokens.
  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>?
  /// The matrix that the logits are products with, which may be the embedding; nil in a model without a head.
  var headWeights: StoredMatrix? { get }
  /// The names of the tensors of block `index`, for read-ahead and for messages; nil stands for those outside all
  /// blocks.
  func tensorNames(ofBlock index: Int?) -> [String]
  /// The tensors of block `index` of which every token uses only a part, the experts of a mixture; nil if there are
  /// none.
  func chosenTensors(ofBlock index: Int) -> ChosenTensors?
  /// The input that block `index` reads besides the stream, one row per token, which is held; nil in most models.
  func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>?
  /// The earlier block whose keys and values block `index` attends to instead of its own; nil in most models.
  func keyValueSource(ofBlock index: Int) -> Int?
  /// The source of the weights.
  var source: any TensorSource { get }
  /// The processes that hold its blocks together, each a slice of them; nil if this one holds them whole.
  var team: (any Communicator)? { get }
}

/// The model's sizes, names and properties.
public struct ModelDescription: Sendable {
  /// The family that reads it, such as `llama`.
  public var family: String
  /// `model_type` of the configuration, or the architecture of a GGUF file.
  public var modelType: String
  /// L, the number of blocks.
  public var layers: Int
  /// d, the width of the residual stream.
  public var width: Int
  /// The number of ids that the embedding has; 0 if the model reads no tokens.
  public var vocabulary: Int
  /// The number of query heads.
  public var heads: Int
  /// The number of key-value heads.
  public var keyValueHeads: Int
  /// The width of the MLP's hidden layer.
  public var feedForwardWidth: Int
  /// The largest number of positions; nil if unlimited.
  public var positions: Int?
  /// The number of parameters in all tensors of the model.
  public var parameters: Int
  /// The types of its matrices, each once.
  public var storedTypes: [String]
  /// The kind of input that the model reads.
  public var input = InputKind.tokens
  /// Whether a token sees only itself and the tokens before it.
  public var isCausal = true
  /// The residual function of a block in this family, in words for readers.
  public var residual: String
  /// The parts of the checkpoint that are not read.
  public var unread: [UnreadPart]

  /// The description of a file's model: family, stored types and parameters are taken from the file, and so is the
  /// text of f unless `residual` replaces it.
  public init(
    of file: ModelFile, layers: Int, width: Int, vocabulary: Int, heads: Int, keyValueHeads: Int,
    feedForwardWidth: Int, positions: Int? = nil, input: InputKind = .tokens,
    isCausal: Bool = true, residual: String? = nil
  ) {
    family = file.family.name
    modelType = file.outerType ?? file.modelType
    unread = file.unread
    (self.layers, self.width, self.vocabulary) = (layers, width, vocabulary)
    (self.heads, self.keyValueHeads) = (heads, keyValueHeads)
    self.feedForwardWidth = feedForwardWidth
    self.positions = positions
    parameters = file.parameterCount
    storedTypes = file.storedTypes
    self.input = input
    self.isCausal = isCausal
    self.residual = residual ?? file.family.residual
  }
}

extension Transformer {
  /// nil, for a model that predicts no tokens.
  public var headWeights: StoredMatrix? { nil }

  /// nil, for a whole model.
  public var team: (any Communicator)? { nil }

  /// nil, since most models have no experts.
  public func chosenTensors(ofBlock index: Int) -> ChosenTensors? { nil }

  /// nil, since most blocks read only the stream.
  public func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>? { nil }

  /// nil, since most blocks have their own keys and values.
  public func keyValueSource(ofBlock index: Int) -> Int? { nil }

  /// Throws `ModelError.wrongInput`, since most models have no encoder.
  public func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    throw .wrongInput(given: "an encoder's tokens", needed: "\(description.input)")
  }

  /// Tells the system that a block's weights are not needed soon: it may drop their pages. A block that does not exist
  /// has no tensors, so callers may ask for the one before the first or after the last.
  public func releasePages(ofBlock index: Int) {
    guard (0..<description.layers).contains(index) else { return }
    for name in tensorNames(ofBlock: index) { try? source.tensor(name).advise(.dontNeed) }
  }

  /// The parts of files that hold the weights of a block which are read whole, in no particular order. Experts are read
  /// when they are chosen, never ahead; and a member of a team reads its slices only, which are parts of these tensors.
  public func readParts(ofBlock index: Int) -> [FilePart] {
    guard team == nil, (0..<description.layers).contains(index) else { return [] }
    let chosen = Set(chosenTensors(ofBlock: index)?.names ?? [])
    return tensorNames(ofBlock: index).filter { !chosen.contains($0) }.flatMap {
      (try? source.tensor($0).fileParts) ?? []
    }
  }

  /// The bytes of a block's stored tensors, or of those outside all blocks; of experts, only those this many tokens
  /// can choose.
  public func bytes(ofBlock index: Int?, tokens: Int = .max) -> Int {
    size(ofBlock: index, tokens: tokens) { $0.byteRange.count }
  }

  /// The number of parameters that one token uses; experts that it does not choose are left out.
  public var activeParameters: Int {
    (0..<description.layers).reduce(description.parameters) { count, l in
      let all = size(ofBlock: l, tokens: .max) { $0.isComputed ? 0 : $0.count }
      return count - all + size(ofBlock: l, tokens: 1) { $0.isComputed ? 0 : $0.count }
    }
  }

  private func size(ofBlock index: Int?, tokens: Int, _ measure: (TensorInfo) -> Int) -> Int {
    func sum(_ names: [String]) -> Int {
      names.reduce(0) { $0 + (source.info($1).map(measure) ?? 0) }
    }
    let all = sum(tensorNames(ofBlock: index))
    guard let index, let chosen = chosenTensors(ofBlock: index),
      case let experts = sum(chosen.names)
    else {
      return all
    }
    return all - experts + chosen.part(of: experts, tokens: tokens)
  }

  /// The bytes of the head; 0 if there is none.
  public var headBytes: Int { headWeights?.byteCount ?? 0 }

  /// The parts of files that hold the head, which is read whole; in a team each member reads it for itself.
  public var headParts: [FilePart] { headWeights?.fileParts ?? [] }
}
