import Autodiff
import LinearAlgebra

/// The hidden states of some prompts as they go through the blocks together, one block at a time.
public struct HiddenStates<Scalar: RealScalar> {
  private var x: Variable<Scalar>
  private let prompts: [Range<Int>]
  /// For each prompt the output of its encoder, in models that have one.
  let contexts: [Variable<Scalar>]
  /// Blocks passed so far.
  public private(set) var depth = 0

  /// X⁰ of these prompts, given as token ids.
  public init(_ prompts: [[Int]], in model: some Transformer) throws {
    try self.init(inputs: prompts.map { .tokens($0) }, in: model)
  }

  /// X⁰ of these prompts. Throws `ModelError`: what `ModelDescription.check` throws, no prompts, weights that are no
  /// numbers.
  public init(inputs prompts: [ModelInput], in model: some Transformer) throws {
    guard !prompts.isEmpty else { throw ModelError.emptyPrompt }
    for prompt in prompts { try model.description.check(prompt) }
    var contexts: [Variable<Scalar>] = []
    for (p, prompt) in prompts.enumerated() {
      guard let tokens = prompt.encoderTokens else { continue }
      // The same tokens have the same output, computed once.
      let first = prompts[..<p].firstIndex { $0.encoderTokens == tokens }
      contexts.append(try first.map { contexts[$0] } ?? model.encode(tokens, as: Scalar.self))
    }
    self.contexts = contexts
    let embedded = try prompts.map { try model.embed($0, as: Scalar.self).value }
    var end = 0
    self.prompts = embedded.map { states in
      defer { end += states.rows }
      return end..<end + states.rows
    }
    x = Variable(
      Matrix(
        rows: end, columns: model.description.width, elements: embedded.flatMap(\.elements)))
    try model.requireFinite(x, layer: 0, tensors: model.tensorNames(ofBlock: nil))
  }

  /// X (tokens, width) of one prompt at the present depth.
  public func states(ofPrompt p: Int) -> Matrix<Scalar> {
    x.value(ofRows: prompts[p])
  }

  /// Logits after the last token of every prompt, once all blocks are passed; nil in a model that predicts no tokens.
  public func logits(of model: some Transformer) -> Matrix<Scalar>? {
    let last = Variable(gather(x.value, prompts.map { $0.upperBound - 1 }))
    return model.logits(model.finalNorm(last))?.value
  }

  /// Goes through the next block: X ← X + f(X). What comes back is the point it was at, to linearize there.
  ///
  /// Throws `ModelError.weightNotFinite` or `stateNotFinite` when something is no number any more.
  public mutating func advance(through model: some Transformer) throws -> BlockPoint<Scalar> {
    let scope = TokenScope<Scalar>(prompts: prompts, contexts: contexts)
    let input = x
    x = x + model.block(depth, as: Scalar.self).update(Stream(x), in: scope)
    depth += 1
    try model.requireFinite(x, layer: depth, tensors: model.tensorNames(ofBlock: depth - 1))
    return BlockPoint(
      layer: depth - 1, states: input.value, prompts: prompts, caches: scope.caches)
  }
}

extension Transformer {
  /// Throws `ModelError.weightNotFinite` or `stateNotFinite` unless all states are numbers; if not, the culprit is among
  /// these tensors.
  func requireFinite<S>(
    _ states: Variable<S>, layer: Int, tensors: [String]
  ) throws(ModelError) {
    guard !states.isFinite else { return }
    for name in tensors {
      guard let tensor = try? source.tensor(name) else { continue }
      if !tensor.numbers().allSatisfy(\.isFinite) {
        throw .weightNotFinite(file: tensor.file, tensor: name)
      }
    }
    throw .stateNotFinite(layer: layer)
  }
}

/// Where a block stands in some prompts' paths: its input, and the keys and values of all tokens there.
public struct BlockPoint<Scalar: RealScalar> {
  /// The block, counted from 0.
  public let layer: Int
  /// X (all tokens, width) that enters it.
  let states: Matrix<Scalar>
  /// The rows of each prompt.
  let prompts: [Range<Int>]
  /// For each prompt, keys and values of each of the block's attentions.
  let caches: [[KeyValueCache<Scalar>]]

  /// Bytes of all prompts' keys and values, those that prompts share once.
  public var cacheBytes: Int {
    let distinct = Dictionary(caches.joined().map { (ObjectIdentifier($0), $0) }) { $1 }
    return distinct.values.reduce(0) { $0 + $1.byteCount }
  }

  /// The states of these tokens, one row each.
  func rows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar> {
    gather(states, picks.map { prompts[$0.prompt].lowerBound + $0.token })
  }
}

/// Some rows of a matrix.
func gather<S: RealScalar>(_ x: Matrix<S>, _ rows: [Int]) -> Matrix<S> {
  Matrix(rows: rows.count, columns: x.columns, elements: rows.flatMap { x.row($0) })
}
