import Autodiff
import LinearAlgebra

/// The hidden states of some prompts as they go through the blocks together, one block at a time.
public struct HiddenStates<Scalar: RealScalar> {
  private var x: Variable<Scalar>
  private let prompts: [Range<Int>]
  /// Blocks passed so far.
  public private(set) var depth = 0

  /// X⁰ of these prompts. Throws `ModelError`: no tokens, a token the model does not have, more tokens than positions.
  public init(_ prompts: [[Int]], in model: some Transformer) throws {
    for tokens in prompts {
      if let limit = model.description.positions, tokens.count > limit {
        throw ModelError.promptTooLong(tokens: tokens.count, limit: limit)
      }
      if tokens.isEmpty { throw ModelError.emptyPrompt }
    }
    var end = 0
    self.prompts = prompts.map { tokens in
      defer { end += tokens.count }
      return end..<end + tokens.count
    }
    x = try model.embed(
      prompts.flatMap { $0 }, at: prompts.flatMap { Array($0.indices) }, as: Scalar.self)
    try requireFinite(model)
  }

  /// X (tokens, width) of one prompt at the present depth.
  public func states(ofPrompt p: Int) -> Matrix<Scalar> {
    x.value(ofRows: prompts[p])
  }

  /// Logits after the last token of every prompt, once all blocks are passed.
  public func logits(of model: some Transformer) -> Matrix<Scalar> {
    let last = Variable(gather(x.value, prompts.map { $0.upperBound - 1 }))
    return model.logits(model.finalNorm(last)).value
  }

  /// Goes through the next block: X ← X + f(X). What comes back is the point it was at, to linearize there.
  ///
  /// Throws `ModelError.weightNotFinite` or `stateNotFinite` when something is no number any more.
  public mutating func advance(through model: some Transformer) throws -> BlockPoint<Scalar> {
    let scope = TokenScope<Scalar>(prompts: prompts)
    let input = x
    x = x + model.block(depth, as: Scalar.self).update(Stream(x), in: scope)
    depth += 1
    try requireFinite(model)
    return BlockPoint(
      layer: depth - 1, states: input.value, prompts: prompts, caches: scope.caches)
  }

  private func requireFinite(_ model: some Transformer) throws {
    guard !x.isFinite else { return }
    // The culprit is in the block just passed, or in the embedding.
    for name in model.tensorNames(ofBlock: depth == 0 ? nil : depth - 1) {
      guard let tensor = try? model.source.tensor(name) else { continue }
      if !tensor.numbers().allSatisfy(\.isFinite) { throw ModelError.weightNotFinite(tensor: name) }
    }
    throw ModelError.stateNotFinite(layer: depth)
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

  /// Bytes of all prompts' keys and values.
  public var cacheBytes: Int {
    caches.reduce(0) { $0 + $1.reduce(0) { $0 + $1.byteCount } }
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
