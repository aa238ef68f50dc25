import Autodiff
import LinearAlgebra

/// The hidden states of some prompts as they pass through the blocks together, one block at a time.
public struct HiddenStates<Scalar: RealScalar> {
  private var x: Variable<Scalar>
  private let prompts: [Range<Int>]
  /// The output of the encoder for each prompt, in models that have one.
  let encoderOutputs: [Variable<Scalar>]
  /// The prompts, for inputs that blocks read besides the stream.
  private let inputs: [ModelInput]
  /// The points of those blocks whose keys and values later blocks attend to.
  private var kept: [Int: BlockPoint<Scalar>] = [:]
  /// The number of blocks passed so far.
  public private(set) var depth = 0
  /// The prompts that have been removed.
  private var removed: Set<Int> = []

  /// The embeddings X⁰ of prompts given as token ids.
  public init(_ prompts: [[Int]], in model: some Transformer) throws {
    try self.init(inputs: prompts.map { .tokens($0) }, in: model)
  }

  /// The embeddings X⁰ of these prompts. Throws `ModelError`: any error of `ModelDescription.check`, if there are no
  /// prompts, or if a state is not finite.
  public init(inputs prompts: [ModelInput], in model: some Transformer) throws {
    var losses: [PromptLoss] = []
    try self.init(inputs: prompts, in: model, losing: &losses)
    if let loss = losses.first { throw loss.error }
  }

  /// The embeddings X⁰ of these prompts; a prompt whose states are not finite is removed and reported in `losses`,
  /// without affecting the others.
  public init(
    inputs prompts: [ModelInput], in model: some Transformer, losing losses: inout [PromptLoss]
  ) throws {
    guard !prompts.isEmpty else { throw ModelError.emptyPrompt }
    for prompt in prompts { try model.description.check(prompt) }
    var encoderOutputs: [Variable<Scalar>] = []
    for (p, prompt) in prompts.enumerated() {
      guard let tokens = prompt.encoderTokens else { continue }
      // Prompts with the same encoder tokens share one output.
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

  /// X (tokens, width) of one prompt at the current depth.
  public func states(ofPrompt p: Int) -> Matrix<Scalar> {
    x.value(ofRows: prompts[p])
  }

  /// The number of tokens of one prompt.
  func tokens(ofPrompt p: Int) -> Int { prompts[p].count }

  /// The states of these tokens at the current depth, one row each.
  func rows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar> {
    gather(x.value, picks.map { prompts[$0.prompt].lowerBound + $0.token })
  }

  /// Logits after the last token of every prompt, once all blocks have been passed; nil in a model that predicts no
  /// tokens.
  public func logits(of model: some Transformer) -> Matrix<Scalar>? {
    logits(of: model, prompts.indices)
  }

  private func logits(of model: some Transformer, _ range: Range<Int>) -> Matrix<Scalar>? {
    let last = Variable(gather(x.value, prompts[range].map { $0.upperBound - 1 }))
    return model.logits(model.finalNorm(last))?.value
  }

  /// The most likely token after the last one of every prompt, once all blocks have been passed; nil in a model that predicts no
  /// tokens. Logits are computed for a few prompts at a time.
  package func nextTokens(of model: some Transformer) -> [Int]? {
    var tokens: [Int] = []
    let count = Self.promptsAtHead(of: model)
    for first in stride(from: 0, to: prompts.count, by: count) {
      guard let logits = logits(of: model, first..<min(first + count, prompts.count)) else {
        return nil
      }
      tokens += (0..<logits.rows).map { p in
        let row = logits.row(p)
        return row.indices.max { row[$0] < row[$1] }! - row.startIndex
      }
    }
    return tokens
  }

  /// The number of prompts whose logits `nextTokens` has in memory together: about a million numbers, or one prompt.
  package static func promptsAtHead(of model: some Transformer) -> Int {
    max(1, (1 << 20) / max(1, model.description.vocabulary))
  }

  /// Passes through the next block, X ← X + f(X), and returns the point before it, for linearizing there.
  ///
  /// Throws `ModelError.weightNotFinite` or `stateNotFinite` if the states of any prompt are not finite afterwards.
  public mutating func advance(through model: some Transformer) throws -> BlockPoint<Scalar> {
    var losses: [PromptLoss] = []
    let point = advance(through: model, losing: &losses)
    if let loss = losses.first { throw loss.error }
    return point
  }

  /// Passes through the next block; a prompt whose states are not finite afterwards is removed and reported in
  /// `losses`, without affecting the others.
  public mutating func advance(
    through model: some Transformer, losing losses: inout [PromptLoss]
  ) -> BlockPoint<Scalar> {
    let (update, point) = evaluated(in: model) { model.block(depth).update($0, in: $1) }
    x = x + update
    if (depth + 1..<max(depth + 1, model.description.layers)).contains(where: {
      model.keyValueSource(ofBlock: $0) == depth
    }) {
      kept[depth] = point
    }
    depth += 1
    losses += removeNotFinite(model, tensors: model.tensorNames(ofBlock: depth - 1))
    return point
  }

  /// The point before the next block, without passing through it: of the block, only the mixers are evaluated, whose keys and
  /// values linearizations hold.
  package func point(before model: some Transformer) -> BlockPoint<Scalar> {
    evaluated(in: model) { model.block(depth).attention($0, in: $1) }.point
  }

  /// The next block, or its half with the mixers, as `evaluate` computes it, and the point before it.
  private func evaluated(
    in model: some Transformer,
    _ evaluate: (ResidualStream<Scalar>, AttentionContext<Scalar>) -> Variable<Scalar>
  ) -> (update: Variable<Scalar>, point: BlockPoint<Scalar>) {
    let side = sideInput(of: model)
    let earlier = model.keyValueSource(ofBlock: depth).flatMap { kept[$0] }
    let context = AttentionContext<Scalar>(
      prompts: prompts, encoderOutputs: encoderOutputs, earlier: earlier?.caches ?? [],
      sideInput: side)
    let update = evaluate(ResidualStream(x), context)
    let point = BlockPoint(
      layer: depth, states: x.value, prompts: prompts, caches: context.caches, sideInput: side,
      encoderOutputs: encoderOutputs, earlier: earlier.map { [$0] } ?? [])
    return (update, point)
  }

  /// The side input of the next block for all prompts.
  private func sideInput(of model: some Transformer) -> Matrix<Scalar>? {
    let parts = inputs.compactMap { model.sideInput(of: $0, block: depth, as: Scalar.self) }
    guard parts.count == inputs.count, let first = parts.first else { return nil }
    return Matrix(
      rows: parts.reduce(0) { $0 + $1.rows }, columns: first.columns,
      elements: parts.count == 1 ? first.elements : parts.flatMap(\.elements))
  }

  /// Removes a prompt: its states are zero from here on.
  ///
  /// Its rows stay, so that every product keeps its shape and the other prompts' results stay the same to the bit.
  public mutating func remove(prompt p: Int) {
    removed.insert(p)
    x = Variable(zeroing(x.value, rows: prompts[p]))
  }

  /// Removes the prompts whose states are not finite; in a block, numbers of one prompt never reach another.
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

/// A prompt whose states are no longer finite.
public struct PromptLoss: Sendable {
  /// The index among the prompts that are computed together.
  public let prompt: Int
  /// The number of blocks passed: 0 for the embedding.
  public let layer: Int
  /// The first token whose state is not finite.
  public let token: Int
  /// `ModelError.weightNotFinite` or `stateNotFinite`.
  public let error: ModelError
}

extension Transformer {
  /// The reason why states are not finite after `layer` blocks: one of these tensors contains NaN or infinity, or
  /// they overflow.
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

/// A block's position in the paths of some prompts: its input, and what its mixers save for all tokens there.
public struct BlockPoint<Scalar: RealScalar> {
  /// The block, counted from 0.
  public let layer: Int
  /// The block's input X (all tokens, width).
  let states: Matrix<Scalar>
  /// The range of rows of each prompt.
  let prompts: [Range<Int>]
  /// The caches that the block's mixers saved for each prompt.
  let caches: [MixerCaches<Scalar>]

  /// The block's side input (all tokens, features), if it has one.
  let sideInput: Matrix<Scalar>?

  /// The output of the encoder for each prompt, in models that have one.
  let encoderOutputs: [Variable<Scalar>]
  /// The point of the block whose keys and values this one attends to instead of its own; empty if there is none.
  let earlier: [BlockPoint]

  /// The point of one prompt in another precision: the states are converted, and what mixers save is recomputed from
  /// them.
  ///
  /// Costs one evaluation of the block's mixers for that prompt.
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
    _ = model.block(layer).attention(ResidualStream(Variable(states)), in: context)
    return BlockPoint<Other>(
      layer: layer, states: states, prompts: [0..<rows.count], caches: context.caches,
      sideInput: side, encoderOutputs: encoded, earlier: earlier)
  }

  /// The bytes of all prompts' keys and values, counting shared ones once; linearizations keep them.
  public var cacheBytes: Int {
    let distinct = Dictionary(
      caches.flatMap(\.attentions).map { (ObjectIdentifier($0), $0) }
    ) { $1 }
    return distinct.values.reduce(0) { $0 + $1.byteCount }
  }

  /// The context of some groups of rows, each with source and target tokens of one prompt.
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

  /// The side input of these tokens, one row each.
  func sideRows(_ picks: [(prompt: Int, token: Int)]) -> Matrix<Scalar>? {
    sideInput.map { gather($0, picks.map { prompts[$0.prompt].lowerBound + $0.token }) }
  }
}

/// The rows of x with the given indices.
func gather<S: RealScalar>(_ x: Matrix<S>, _ rows: [Int]) -> Matrix<S> {
  Matrix(rows: rows.count, columns: x.columns, elements: rows.flatMap { x.row($0) })
}

/// The matrix with the given rows set to zero.
private func zeroing<S: RealScalar>(_ x: Matrix<S>, rows: Range<Int>) -> Matrix<S> {
  var x = x
  x.elements.replaceSubrange(
    rows.lowerBound * x.columns..<rows.upperBound * x.columns,
    with: repeatElement(0, count: rows.count * x.columns))
  return x
}
