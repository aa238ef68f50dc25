import Autodiff
import LinearAlgebra

/// The hidden states of some prompts as they go through the blocks together, one block at a time.
public struct HiddenStates<Scalar: RealScalar> {
  private var x: Variable<Scalar>
  private let prompts: [Range<Int>]
  /// For each prompt the output of its encoder, in models that have one.
  let encoderOutputs: [Variable<Scalar>]
  /// The prompts, for what blocks read of them besides the stream.
  private let inputs: [ModelInput]
  /// Those blocks' points whose keys and values later ones look at.
  private var kept: [Int: BlockPoint<Scalar>] = [:]
  /// Blocks passed so far.
  public private(set) var depth = 0
  /// Prompts that have been taken out.
  private var removed: Set<Int> = []

  /// X⁰ of these prompts, given as token ids.
  public init(_ prompts: [[Int]], in model: some Transformer) throws {
    try self.init(inputs: prompts.map { .tokens($0) }, in: model)
  }

  /// X⁰ of these prompts. Throws `ModelError`: what `ModelDescription.check` throws, no prompts, and what is not finite in
  /// any of them.
  public init(inputs prompts: [ModelInput], in model: some Transformer) throws {
    var losses: [PromptLoss] = []
    try self.init(inputs: prompts, in: model, losing: &losses)
    if let loss = losses.first { throw loss.error }
  }

  /// The same, but a prompt whose states are not finite is taken out of the computation and reported in `losses`, and the
  /// others are not affected.
  public init(
    inputs prompts: [ModelInput], in model: some Transformer, losing losses: inout [PromptLoss]
  ) throws {
    guard !prompts.isEmpty else { throw ModelError.emptyPrompt }
    for prompt in prompts { try model.description.check(prompt) }
    var encoderOutputs: [Variable<Scalar>] = []
    for (p, prompt) in prompts.enumerated() {
      guard let tokens = prompt.encoderTokens else { continue }
      // The same tokens have the same output, computed once.
      let first = prompts[..<p].firstIndex { $0.encoderTokens == tokens }
      encoderOutputs.append(
        try first.map { encoderOutputs[$0] } ?? model.encode(tokens, as: Scalar.self))
    }
    self.encoderOutputs = encoderOutputs
    inputs = prompts
    let embedded = try prompts.map { try model.embed($0, as: Scalar.self).value }
    var end = 0
    self.prompts = embedded.map { states in
      defer { end += states.rows }
      return end..<end + states.rows
    }
    x = Variable(
      Matrix(
        rows: end, columns: model.description.width, elements: embedded.flatMap(\.elements)))
    losses += removeNotFinite(model, tensors: model.tensorNames(ofBlock: nil))
  }

  /// X (tokens, width) of one prompt at the present depth.
  public func states(ofPrompt p: Int) -> Matrix<Scalar> {
    x.value(ofRows: prompts[p])
  }

  /// Tokens of one prompt.
  func tokens(ofPrompt p: Int) -> Int { prompts[p].count }

  /// The states of these tokens at the present depth, one row each.
  func rows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar> {
    gather(x.value, picks.map { prompts[$0.prompt].lowerBound + $0.token })
  }

  /// Logits after the last token of every prompt, once all blocks are passed; nil in a model that predicts no tokens.
  public func logits(of model: some Transformer) -> Matrix<Scalar>? {
    let last = Variable(gather(x.value, prompts.map { $0.upperBound - 1 }))
    return model.logits(model.finalNorm(last))?.value
  }

  /// Goes through the next block: X ← X + f(X). Returns the point it was at, to linearize there.
  ///
  /// Throws `ModelError.weightNotFinite` or `stateNotFinite` when the states of any prompt are not finite after it.
  public mutating func advance(through model: some Transformer) throws -> BlockPoint<Scalar> {
    var losses: [PromptLoss] = []
    let point = advance(through: model, losing: &losses)
    if let loss = losses.first { throw loss.error }
    return point
  }

  /// The same, but a prompt whose states are not finite after the block is taken out of the computation and reported in
  /// `losses`, and the others are not affected.
  public mutating func advance(
    through model: some Transformer, losing losses: inout [PromptLoss]
  ) -> BlockPoint<Scalar> {
    let side = sideInput(of: model)
    let earlier = model.keyValueSource(ofBlock: depth).flatMap { kept[$0] }
    let context = AttentionContext<Scalar>(
      prompts: prompts, encoderOutputs: encoderOutputs, earlier: earlier?.caches ?? [],
      sideInput: side)
    let input = x
    x = x + model.block(depth).update(ResidualStream(x), in: context)
    let point = BlockPoint(
      layer: depth, states: input.value, prompts: prompts, caches: context.caches,
      sideInput: side, encoderOutputs: encoderOutputs, earlier: earlier.map { [$0] } ?? [])
    if (depth + 1..<max(depth + 1, model.description.layers)).contains(where: {
      model.keyValueSource(ofBlock: $0) == depth
    }) {
      kept[depth] = point
    }
    depth += 1
    losses += removeNotFinite(model, tensors: model.tensorNames(ofBlock: depth - 1))
    return point
  }

  /// What the next block reads of all prompts besides the stream.
  private func sideInput(of model: some Transformer) -> Matrix<Scalar>? {
    let parts = inputs.compactMap { model.sideInput(of: $0, block: depth, as: Scalar.self) }
    guard parts.count == inputs.count, let first = parts.first else { return nil }
    return Matrix(
      rows: parts.reduce(0) { $0 + $1.rows }, columns: first.columns,
      elements: parts.count == 1 ? first.elements : parts.flatMap(\.elements))
  }

  /// Takes a prompt out of the computation: its states are zero from here on.
  ///
  /// Its rows stay, so that every product keeps its shape and the other prompts their bits.
  public mutating func remove(prompt p: Int) {
    removed.insert(p)
    x = Variable(zeroing(x.value, rows: prompts[p]))
  }

  /// Removes the prompts whose states are not finite; a block's numbers of one prompt never reach another's.
  private mutating func removeNotFinite(
    _ model: some Transformer, tensors: [String]
  ) -> [PromptLoss] {
    guard !x.isFinite else { return [] }
    var culprit: ModelError?
    var losses: [PromptLoss] = []
    for p in prompts.indices where !removed.contains(p) {
      let states = states(ofPrompt: p)
      guard let token = (0..<states.rows).first(where: { !states.row($0).allSatisfy(\.isFinite) })
      else { continue }
      let error = culprit ?? model.errorForNotFinite(layer: depth, tensors: tensors)
      culprit = error
      losses.append(PromptLoss(prompt: p, layer: depth, token: token, error: error))
    }
    for loss in losses { removed.insert(loss.prompt) }
    x = Variable(removed.reduce(x.value) { zeroing($0, rows: prompts[$1]) })
    return losses
  }
}

/// A prompt whose states stopped being finite.
public struct PromptLoss: Sendable {
  /// Its position among the prompts that go together.
  public let prompt: Int
  /// Blocks passed: 0 for the embedding.
  public let layer: Int
  /// The first token whose state is not finite.
  public let token: Int
  /// `ModelError.weightNotFinite` or `stateNotFinite`.
  public let error: ModelError
}

extension Transformer {
  /// Why states are not finite after `layer` blocks: one of these tensors holds NaN or infinity, or the states overflow.
  func errorForNotFinite(layer: Int, tensors: [String]) -> ModelError {
    for name in tensors {
      guard let tensor = try? source.tensor(name) else { continue }
      if !tensor.numbers().allSatisfy(\.isFinite) {
        return .weightNotFinite(file: tensor.file, tensor: name)
      }
    }
    return .stateNotFinite(layer: layer)
  }
}

/// Where a block stands in some prompts' paths: its input, and what its mixers keep of all tokens there.
public struct BlockPoint<Scalar: RealScalar> {
  /// The block, counted from 0.
  public let layer: Int
  /// X (all tokens, width) that enters it.
  let states: Matrix<Scalar>
  /// The rows of each prompt.
  let prompts: [Range<Int>]
  /// What the block's mixers left behind of each prompt.
  let caches: [MixerCaches<Scalar>]

  /// What the block reads besides the stream (all tokens, features), if it does.
  let sideInput: Matrix<Scalar>?

  /// For each prompt the output of its encoder, in models that have one.
  let encoderOutputs: [Variable<Scalar>]
  /// The point of the block whose keys and values this one looks at in the place of its own, if there is one.
  let earlier: [BlockPoint]

  /// The point of one prompt in another precision: the states are these, and what mixers keep is computed of them anew.
  ///
  /// Costs an evaluation of the block for that prompt.
  public func converted<Other: RealScalar>(
    to precision: Other.Type, prompt p: Int, of model: some Transformer
  ) -> BlockPoint<Other> {
    let rows = prompts[p]
    let states = states.rows(rows).converted(to: Other.self)
    let side = sideInput?.rows(rows).converted(to: Other.self)
    let encoded =
      encoderOutputs.isEmpty
      ? [] : [Variable(encoderOutputs[p].value.converted(to: Other.self))]
    let earlier = earlier.map { $0.converted(to: Other.self, prompt: p, of: model) }
    let context = AttentionContext<Other>(
      prompts: [0..<rows.count], encoderOutputs: encoded, earlier: earlier.first?.caches ?? [],
      sideInput: side)
    _ = model.block(layer).update(ResidualStream(Variable(states)), in: context)
    return BlockPoint<Other>(
      layer: layer, states: states, prompts: [0..<rows.count], caches: context.caches,
      sideInput: side, encoderOutputs: encoded, earlier: earlier)
  }

  /// Bytes of all prompts' keys and values, those that prompts share once: what linearizations keep of it.
  public var cacheBytes: Int {
    let distinct = Dictionary(
      caches.flatMap(\.attentions).map { (ObjectIdentifier($0), $0) }
    ) { $1 }
    return distinct.values.reduce(0) { $0 + $1.byteCount }
  }

  /// The context of some groups of rows, each of one prompt's source and target tokens.
  func context(
    _ groups: [(prompt: Int, sources: [Int], targets: [Int])],
    earlier: AttentionContext<Scalar>? = nil
  ) -> AttentionContext<Scalar> {
    AttentionContext(
      groups.map {
        RowGroup(
          sources: $0.sources, targets: $0.targets, tokens: prompts[$0.prompt].count,
          caches: caches[$0.prompt])
      }, earlier: earlier,
      sideInput: sideRows(groups.flatMap { group in group.targets.map { (group.prompt, $0) } }))
  }

  /// The states of these tokens, one row each.
  func rows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar> {
    gather(states, picks.map { prompts[$0.prompt].lowerBound + $0.token })
  }

  /// The side input of these tokens, likewise.
  func sideRows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar>? {
    sideInput.map { gather($0, picks.map { prompts[$0.prompt].lowerBound + $0.token }) }
  }
}

/// Some rows of a matrix.
func gather<S: RealScalar>(_ x: Matrix<S>, _ rows: [Int]) -> Matrix<S> {
  Matrix(rows: rows.count, columns: x.columns, elements: rows.flatMap { x.row($0) })
}

/// A matrix with some rows set to zero.
private func zeroing<S: RealScalar>(_ x: Matrix<S>, rows: Range<Int>) -> Matrix<S> {
  var x = x
  x.elements.replaceSubrange(
    rows.lowerBound * x.columns..<rows.upperBound * x.columns,
    with: repeatElement(0, count: rows.count * x.columns))
  return x
}
