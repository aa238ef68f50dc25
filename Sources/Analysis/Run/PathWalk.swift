import Alignment
import Autodiff
import LinearAlgebra
import Model
import Weights

/// Which states along a path are kept.
enum KeptPath {
  /// The most numbers in a prompt's states for them to be kept for the picture: 32 MB.
  static let pictured = 1 << 23

  /// The most bytes that pictures take together: beyond that, they are made one after another.
  private static let together = 1 << 25

  /// Whether pictures have a thread each if one takes so many bytes.
  static func picturesAreDivided(_ bytes: Int) -> Bool {
    bytes * Engine.currentThreads <= together
  }

  /// Bytes of the states kept for prompts with these numbers of tokens, and of the pictures made at a time if all are as large as the
  /// largest. Each takes some states in double precision, and two matrices of the Gram matrix's size, its parts' products or LAPACK's
  /// copy.
  static func bytes(
    _ tokens: [Int], width: Int, layers: Int, all: Bool
  ) -> (states: Int, pictures: Int) {
    let sizes = tokens.map { $0 * (layers + 1) * width }
    let pictured = sizes.filter { $0 <= Self.pictured }
    let picture = pictureBytes(pictured.max() ?? 0, width: width, layers: layers)
    return (
      (all ? sizes : pictured).reduce(0, +) * 4,
      picturesAreDivided(picture)
        ? Engine.threadsWorking(on: 2 * pictured.count) * picture : picture
    )
  }

  /// Bytes of the picture of states of this many numbers.
  static func pictureBytes(_ numbers: Int, width: Int, layers: Int) -> Int {
    let (points, rows) = (numbers / width, numbers / width / (layers + 1))
    let side = min(points, width)
    return (max(rows, side) * width + 2 * side * side) * 8
  }
}

/// The hidden states of a group of prompts as they go through the blocks, and what is recorded about their paths.
struct PathWalk<Scalar: RealScalar> {
  private var states: HiddenStates<Scalar>
  private let group: PromptGroup
  private let layers: Int
  private let isRecording: Bool
  private let keepsStates: Bool
  /// One per prompt.
  private var trajectories: [TrajectoryAccumulator]
  /// X⁰ … X^L of every prompt that gets a picture, or of all if they are to be saved; in single precision, as they are saved.
  private var kept: [[Matrix<Float>]]
  private let isPictured: [Bool]

  /// The walk at X⁰. Without `isRecording` only the states are carried along. Prompts whose states are not finite are lost.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    keepsStates: Bool, isRecording: Bool, _ survivors: inout GroupSurvivors
  ) throws {
    var losses: [PromptLoss] = []
    states = try HiddenStates<Scalar>(inputs: inputs, in: model, losing: &losses)
    for loss in losses { try survivors.lose(loss.prompt, LostPrompt(loss)) }
    self.group = group
    layers = model.description.layers
    self.isRecording = isRecording
    self.keepsStates = keepsStates
    trajectories = inputs.map { _ in TrajectoryAccumulator() }
    kept = inputs.map { _ in [] }
    let d = model.description
    isPictured = inputs.map {
      d.tokenCount(of: $0) * (d.layers + 1) * d.width <= KeptPath.pictured
    }
    try observe(survivors)
  }

  /// Goes through the next block and returns the point before it. Prompts whose states after it are not finite are lost.
  mutating func advance(
    through model: some Transformer, _ survivors: inout GroupSurvivors
  ) throws -> BlockPoint<Scalar> {
    var losses: [PromptLoss] = []
    let point = states.advance(through: model, losing: &losses)
    for loss in losses { try survivors.lose(loss.prompt, LostPrompt(loss)) }
    return point
  }

  /// Stops following a prompt.
  mutating func remove(prompt p: Int) { states.remove(prompt: p) }

  /// Records the current states.
  mutating func observe(_ survivors: GroupSurvivors) throws {
    guard isRecording else { return }
    for p in trajectories.indices where survivors.isSolved(prompt: p, layer: states.depth) {
      let x = states.states(ofPrompt: p)
      try trajectories[p].append(x)
      if keepsStates || isPictured[p] { kept[p].append(x.converted(to: Float.self)) }
    }
  }

  /// X⁰ … X^L of every prompt that has not failed.
  func saved(_ survivors: GroupSurvivors) -> [[Matrix<Float>]] {
    kept.enumerated().map { survivors.isSolved(prompt: $0, layer: layers) ? $1 : [] }
  }

  /// The records, at the end of the path, of every prompt that has not failed; `image` is the linearised one, and `decode` gives
  /// the text of a token, if there is one.
  func records(
    _ model: some Transformer, _ survivors: GroupSurvivors, image: Matrix<Double>?,
    decode: (Int) -> String?
  ) -> [PathRecord?] {
    let next = states.nextTokens(of: model)
    let final = selected
    let pictures = pictures(survivors)
    return trajectories.indices.map { p in
      guard survivors.isSolved(prompt: p, layer: layers) else { return nil }
      let token = next?[p]
      // With several tokens the last one stands for the prompt.
      let jacobian = group.jacobians(ofPrompt: p).upperBound - 1
      let cosine = image.flatMap {
        LinearisedPath.cosine(image: Array($0.row(jacobian)), final: Array(final.row(jacobian)))
      }
      return PathRecord(
        trajectory: TrajectoryRecord(
          trajectories[p], cosine, pictures[p].whole, withoutFirst: pictures[p].withoutFirst),
        nextTokenId: token, nextToken: token.flatMap(decode))
    }
  }

  /// The pictures of every prompt that has not failed, of all tokens and of those after the first; nil where there is none.
  private func pictures(
    _ survivors: GroupSurvivors
  ) -> [(whole: PathPicture?, withoutFirst: PathPicture?)] {
    let tokens = kept.indices.map { p in
      isPictured[p] && survivors.isSolved(prompt: p, layer: layers) ? kept[p].first?.rows ?? 0 : 0
    }
    let pictures = tokens.indices.flatMap { p in [0, 1].map { (prompt: p, from: $0) } }
    let bytes = kept.indices.map { p in
      KeptPath.pictureBytes(
        tokens[p] * (layers + 1) * (kept[p].first?.columns ?? 0),
        width: kept[p].first?.columns ?? 1, layers: layers)
    }
    let made = Engine.map(pictures, isDivided: KeptPath.picturesAreDivided(bytes.max() ?? 0)) {
      $0.from < tokens[$0.prompt] ? try? PathPicture(states: kept[$0.prompt], from: $0.from) : nil
    }
    return tokens.indices.map { (made[2 * $0], made[2 * $0 + 1]) }
  }

  /// The target tokens' states, one row per Jacobian.
  var selected: Matrix<Double> {
    Matrix(
      group.jacobians.map { jacobian in
        states.states(ofPrompt: jacobian.prompt).row(jacobian.tokens.target).map { Double($0) }
      })
  }
}
