import Files
import Autodiff
import Checkpoint
import LinearAlgebra

/// A model as a sequence of residual blocks. One conforming type a family, in a file of its own.
public protocol Transformer: Sendable {
  /// Sizes and names.
  var description: ModelDescription { get }
  /// The embedding of one prompt, X⁰ (tokens, width): what enters the first block. Precondition: the input passes the
  /// description's `check`.
  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S>
  /// The output (tokens, width) of an encoder-decoder model's encoder, which the decoder's blocks look at and which is held
  /// constant.
  func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S>
  /// Block `index`, counted from 0.
  func block(_ index: Int) -> any ResidualBlock
  /// The norm after the last block; the identity where there is none.
  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// Logits (rows, vocabulary) of normalised states, nil in a model without a head that predicts tokens.
  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>?
  /// Names of the tensors of block `index`, for reading ahead and for messages; nil for those outside all blocks.
  func tensorNames(ofBlock index: Int?) -> [String]
  /// Those of block `index` of which every token chooses a part, if there are any: a mixture's experts.
  func chosenTensors(ofBlock index: Int) -> ChosenTensors?
  /// What block `index` reads of a prompt besides the stream, one row per token, which is held constant; nil in most.
  func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>?
  /// The block before `index` whose keys and values it looks at in the place of its own; nil in most.
  func keyValueSource(ofBlock index: Int) -> Int?
  /// Where the weights come from.
  var source: any TensorSource { get }
}

/// What a model is, in numbers.
public struct ModelDescription: Sendable {
  /// The family that reads it: `llama`.
  public var family: String
  /// `model_type` of the configuration, or the architecture of a GGUF file.
  public var modelType: String
  /// Blocks L.
  public var layers: Int
  /// Width d of the residual stream.
  public var width: Int
  /// Ids the embedding has; 0 where the model reads no tokens.
  public var vocabulary: Int
  /// Attention heads, and those of keys and values.
  public var heads: Int
  /// Heads of keys and values.
  public var keyValueHeads: Int
  /// Width of the MLP's hidden layer.
  public var feedForwardWidth: Int
  /// Positions the model was made for, if limited.
  public var positions: Int?
  /// Numbers in all tensors of the model.
  public var parameters: Int
  /// The types of its matrices, each once.
  public var storedTypes: [String]
  /// What it is run on.
  public var input = InputKind.tokens
  /// Whether a token sees only those before it.
  public var isCausal = true
  /// What the residual function of a block is in this family, for people.
  public var residual: String
  /// What else lies in the checkpoint and is not read.
  public var unread: [UnreadPart]

  /// The description of a file's model: family, stored types and parameters are the file's, and so is f unless
  /// `residual` says otherwise.
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
  /// Most models have none.
  public func chosenTensors(ofBlock index: Int) -> ChosenTensors? { nil }

  /// Most blocks read the stream alone.
  public func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>? { nil }

  /// Most blocks have keys and values of their own.
  public func keyValueSource(ofBlock index: Int) -> Int? { nil }

  /// Most models have no encoder.
  public func encode<S: RealScalar>(
    _ tokens: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    throw .wrongInput(given: "an encoder's tokens", needed: "\(description.input)")
  }

  /// Tells the system whether a block's weights are needed soon: read ahead, or drop the pages. Names of blocks that do not
  /// exist have no tensors, so the one before the first and the one after the last need no care. Experts are read when they
  /// are chosen, and not ahead.
  public func advise(_ advice: MappedFile.Advice, block index: Int) {
    guard (0..<description.layers).contains(index) else { return }
    let chosen = advice == .willNeed ? Set(chosenTensors(ofBlock: index)?.names ?? []) : []
    for name in tensorNames(ofBlock: index) where !chosen.contains(name) {
      try? source.tensor(name).advise(advice)
    }
  }

  /// Bytes of a block's stored tensors, or of those outside all; of its experts those that so many tokens can choose.
  public func bytes(ofBlock index: Int?, tokens: Int = .max) -> Int {
    size(ofBlock: index, tokens: tokens) { $0.byteRange.count }
  }

  /// Numbers in all weights that a token goes through: those of the experts that it does not choose are left out.
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

  /// Bytes of what lies outside the blocks and is read whole: the head, and the embedding where that is the head.
  public var headBytes: Int {
    tensorNames(ofBlock: nil).map { source.info($0)?.byteRange.count ?? 0 }.max() ?? 0
  }
}
