import Alignment
import Autodiff
import LinearAlgebra
import Model

/// The hidden states of a group of prompts on their way through the blocks, and what is recorded of their paths.
struct PathWalk {
  private var states: HiddenStates<Float>
  private let group: PromptGroup
  private let isRecording: Bool
  private let keepsStates: Bool
  /// One a prompt.
  private var trajectories: [TrajectoryAccumulator]
  /// X⁰ … X^L of every prompt that a picture is drawn of, and of all if they are to be saved.
  private var kept: [[Matrix<Float>]]
  private let isPictured: [Bool]
  /// (I + J^l) ⋯ (I + J¹) x⁰, one row a problem, when every block is linearized.
  private var image: Matrix<Double>?

  /// Numbers of all states of a prompt up to which they are kept for the picture: 32 MB.
  private static let pictured = 1 << 23

  /// At X⁰. Without `isRecording` only the states are carried.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup, coversPath: Bool,
    keepsStates: Bool, isRecording: Bool
  ) throws {
    states = try HiddenStates<Float>(inputs: inputs, in: model)
    self.group = group
    self.isRecording = isRecording
    self.keepsStates = keepsStates
    trajectories = inputs.map { _ in TrajectoryAccumulator() }
    kept = inputs.map { _ in [] }
    let d = model.description
    isPictured = inputs.map {
      d.tokenCount(of: $0) * (d.layers + 1) * d.width <= Self.pictured
    }
    try observe()
    if coversPath, isRecording { image = selected }
  }

  /// Goes through the next block; the point it was at comes back.
  mutating func advance(through model: some Transformer) throws -> BlockPoint<Float> {
    try states.advance(through: model)
  }

  /// Takes down the states where they are.
  mutating func observe() throws {
    guard isRecording else { return }
    for p in trajectories.indices {
      let x = states.states(ofPrompt: p)
      try trajectories[p].append(x)
      if keepsStates || isPictured[p] { kept[p].append(x) }
    }
  }

  /// y ← (I + J) y, row r of the batches' y through row r's Jacobian.
  mutating func follow(_ batches: [Linearization<Float>]) {
    guard let y = image else { return }
    var moved = y
    for (batch, members) in zip(batches, group.batches) {
      let (n, first) = (y.columns, members.lowerBound * y.columns)
      let part = Array(y.elements[first..<first + members.count * n])
      var step = part
      var span = step.mutableSpan
      batch.applyRows(part.span, into: &span, vectors: 1)
      for (i, value) in step.enumerated() { moved.elements[first + i] += value }
    }
    image = moved
  }

  /// X⁰ … X^L of every prompt.
  var saved: [[Matrix<Float>]] { kept }

  /// What is recorded, at the end of the path; `decode` makes text of a token, if it can.
  func records(_ model: some Transformer, decode: (Int) -> String?) -> [PathRecord] {
    let next = states.logits(of: model)
    let final = selected
    return trajectories.indices.map { p in
      let token = next.map { $0.row(p).enumerated().max { $0.element < $1.element }!.offset }
      // Of several tokens the last one speaks for the prompt.
      let problem = group.problems(ofPrompt: p).upperBound - 1
      let cosine = image.flatMap {
        LinearisedPath.cosine(image: Array($0.row(problem)), final: Array(final.row(problem)))
      }
      let pictured = isPictured[p] ? kept[p].map { $0.converted(to: Double.self) } : []
      let tokens = pictured.first?.rows ?? 0
      return PathRecord(
        trajectory: TrajectoryRecord(
          trajectories[p], cosine, tokens > 0 ? try? PathPicture(states: pictured) : nil,
          withoutFirst: tokens > 1 ? try? PathPicture(states: pictured, from: 1) : nil),
        nextTokenId: token, nextToken: token.flatMap(decode))
    }
  }

  /// The target tokens' states, one row a problem.
  private var selected: Matrix<Double> {
    Matrix(
      group.problems.map { problem in
        states.states(ofPrompt: problem.prompt).row(problem.tokens.target).map { Double($0) }
      })
  }
}
