import Autodiff

/// A map with its tokens resolved, checked against a model and the length of a prompt.
public struct ResolvedMap: Hashable, Sendable {
  /// The map requested.
  public let map: JacobianMap
  /// The input tokens, ascending, counted from 0.
  public let fromTokens: [Int]
  /// The output tokens, ascending, counted from 0.
  public let toTokens: [Int]
  /// The end of the blocks: the map passes through those from `map.fromLayer` up to this one, exclusive, counted from
  /// 0.
  public let lastBlock: Int
  /// Whether the identity is subtracted.
  public let subtractsIdentity: Bool
  /// The number of tokens of the prompt.
  let tokens: Int
  /// Whether a token sees only itself and the tokens before it.
  private let isCausal: Bool
  private let width: Int
  private let outputs: Int

  /// Resolves a map for a prompt of `tokens` tokens. Throws `MapError`.
  public init(
    _ map: JacobianMap, of description: ModelDescription, tokens: Int
  ) throws(MapError) {
    self.map = map
    self.tokens = tokens
    isCausal = description.isCausal
    width = description.width
    let (from, layers) = (map.fromLayer, description.layers)
    guard (0...layers).contains(from) else { throw .noBoundary(from, layers: layers) }
    switch map.to {
    case .layer(let to):
      guard (0...layers).contains(to) else { throw .noBoundary(to, layers: layers) }
      guard to > from else { throw .backwards(from: from, to: to) }
      (lastBlock, outputs) = (to, width)
    case .finalNorm: (lastBlock, outputs) = (layers, width)
    case .logits: (lastBlock, outputs) = (layers, description.vocabulary)
    case .logitDifference(let first, let second):
      for id in [first, second] where !(0..<description.vocabulary).contains(id) {
        throw .noLogit(id, vocabulary: description.vocabulary)
      }
      (lastBlock, outputs) = (layers, 1)
    }
    fromTokens = try Self.tokens(map.fromTokens, of: tokens, isSource: true)
    toTokens = try Self.tokens(map.toTokens, of: tokens, isSource: false)
    if isCausal, toTokens.last! < fromTokens[0] {
      throw .unreachable(from: fromTokens[0], to: toTokens.last!)
    }
    if map.part != .block {
      guard case .layer(let to) = map.to, to == from + 1 else { throw .partOfOneBlock }
    }
    if map.path == .own {
      guard fromTokens == toTokens, fromTokens.count == 1 else { throw .ownPathOfOneToken }
      guard map.part == .block else { throw .partOfOneBlock }
    }
    let isBetweenBoundaries = if case .layer = map.to { true } else { false }
    subtractsIdentity =
      !map.keepsIdentity && isBetweenBoundaries && map.part == .block && fromTokens == toTokens
      && map.reduction == .none && !map.tiesSources
  }

  private static func tokens(
    _ set: JacobianMap.Tokens, of count: Int, isSource: Bool
  ) throws(MapError) -> [Int] {
    var result: [Int] = []
    switch set {
    case .last: result = [count - 1]
    case .all(let skipped): result = Array(min(max(skipped, 0), count)..<count)
    case .listed(let tokens):
      for token in tokens {
        let index = token < 0 ? count + token : token
        guard (0..<count).contains(index) else {
          throw .noToken(token, count: count, isSource: isSource)
        }
        result.append(index)
      }
      result = Array(Set(result)).sorted()
    }
    guard !result.isEmpty, count > 0 else { throw .noTokens(count: count, isSource: isSource) }
    return result
  }

  /// The rows and columns of the input: one row per source token, or a single one if they are tied.
  public var inputShape: (rows: Int, columns: Int) {
    (map.tiesSources ? 1 : fromTokens.count, width)
  }

  /// The rows and columns of the output: one row per target token, or a single one if they are reduced.
  public var outputShape: (rows: Int, columns: Int) {
    (map.reduction == .none ? toTokens.count : 1, outputs)
  }

  /// The tokens that a change at the sources can reach before the last block and that can reach the targets.
  var between: [Int] {
    if map.path == .own { return fromTokens }
    return isCausal ? Array(fromTokens[0]...max(toTokens.last!, fromTokens[0])) : Array(0..<tokens)
  }
}

/// A reason why a map does not exist in a model.
public enum MapError: Error, Equatable, CustomStringConvertible, Sendable {
  /// The model has no such boundary between blocks.
  case noBoundary(Int, layers: Int)
  /// The map ends where it starts, or before.
  case backwards(from: Int, to: Int)
  /// The prompt has no such token.
  case noToken(Int, count: Int, isSource: Bool)
  /// No tokens are selected.
  case noTokens(count: Int, isSource: Bool)
  /// Under a causal mask, no output token is at or after an input token.
  case unreachable(from: Int, to: Int)
  /// A part of a block was requested of a map of several blocks.
  case partOfOneBlock
  /// The attention of a block, counted from 1, has no such head.
  case noHead(Int, count: Int, layer: Int)
  /// A block, counted from 1, has no such expert.
  case noExpert(Int, count: Int, layer: Int)
  /// A token's own path needs the same single token as input and output.
  case ownPathOfOneToken
  /// The model predicts no tokens.
  case noLogits
  /// The vocabulary has no such id.
  case noLogit(Int, vocabulary: Int)
  /// The maps of several prompts have different shapes and therefore no average.
  case shapesDiffer([Int])
  /// There are no prompts.
  case noPrompts

  /// What is wrong and what to do.
  public var description: String {
    let side = { (isSource: Bool) in isSource ? "input" : "output" }
    switch self {
    case .noBoundary(let layer, let layers):
      return "there is no layer boundary \(layer); a model of \(layers) blocks has those from 0, "
        + "before the first block, to \(layers), after the last"
    case .backwards(let from, let to):
      return "a map goes upwards: its end, boundary \(to), must come after its start, "
        + "boundary \(from)"
    case .noToken(let token, let count, let isSource):
      return "there is no \(side(isSource)) token \(token); the prompt has \(count) tokens, 0 to "
        + "\(count - 1), or −1 to −\(count) from the end"
    case .noTokens(let count, let isSource):
      return "no \(side(isSource)) token is left of the prompt's \(count); choose at least one"
    case .unreachable(let from, let to):
      return "the last output token, \(to), comes before the first input token, \(from), and under "
        + "a causal mask nothing goes back: the map is zero; choose a later output token"
    case .partOfOneBlock:
      return "attention, MLP, heads and experts are parts of one block: choose neighbouring "
        + "boundaries, or the whole block"
    case .noHead(let head, let count, let layer):
      return count == 0
        ? "block \(layer) has no attention heads"
        : "there is no head \(head) in block \(layer); it has \(count), 0 to \(count - 1)"
    case .noExpert(let expert, let count, let layer):
      return count == 0
        ? "block \(layer) has no experts"
        : "there is no expert \(expert) in block \(layer); it has \(count), 0 to \(count - 1)"
    case .ownPathOfOneToken:
      return "the path of a token alone goes from it to itself: choose the same single token for "
        + "input and output"
    case .noLogits: return "the model has no head that predicts tokens: choose another end"
    case .noLogit(let id, let vocabulary):
      return "there is no token id \(id); the model has \(vocabulary), 0 to \(vocabulary - 1)"
    case .shapesDiffer(let counts):
      return "an average needs maps of one shape, and the prompts' have "
        + "\(counts.map(String.init).joined(separator: ", ")) tokens; choose the last token, listed "
        + "ones, or a sum over them"
    case .noPrompts: return "a map needs at least one prompt"
    }
  }
}

extension LinearizationKind {
  /// The factors that are held.
  public var rules: LinearizationRules {
    var rules = LinearizationRules()
    rules.holdsMixing = self == .frozenAttention || self == .detached
    rules.holdsNorms = self == .frozenNorms || self == .detached
    rules.holdsGates = self == .detached
    return rules
  }
}
