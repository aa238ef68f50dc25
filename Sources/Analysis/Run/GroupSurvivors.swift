import Lanczos
import Model

/// Where and why a prompt of a group failed, as kept in the journal.
struct LostPrompt: Codable, Sendable, Equatable {
  /// The pass in which it failed. The first one goes up through the blocks, the second one down.
  enum Pass: String, Codable { case solving, coupling }

  let pass: Pass
  /// The block, from 1; 0 for the embedding.
  let layer: Int
  /// The first token that is not finite, if that is known.
  let token: Int?
  /// The tensor that caused the failure, if there is one.
  let tensor: String?
  /// What happened, in a sentence.
  let reason: String

  /// The failure of states that are not finite.
  init(_ loss: PromptLoss) {
    (pass, layer, token, reason) = (.solving, loss.layer, loss.token, "\(loss.error)")
    if case .weightNotFinite(_, let name) = loss.error { tensor = name } else { tensor = nil }
  }

  /// The failure of a solve or a coupling at a block.
  init(_ pass: Pass, layer: Int, _ tokens: TokenSelection, reason: String) {
    (self.pass, self.layer, tensor) = (pass, layer, nil)
    (token, self.reason) = (tokens.target, reason)
  }

  /// Whether a single process would have come to this failure of a prompt before that other one, and then not to the other.
  func isBefore(_ other: LostPrompt) -> Bool {
    guard pass == other.pass else { return pass == .solving }
    return pass == .solving ? layer < other.layer : layer > other.layer
  }

  /// The failure for the record of a prompt with this number, from 1, and text.
  func failure(number: Int, text: String?) -> PromptFailure {
    PromptFailure(
      number: number, text: text, layer: layer, token: token, tensor: tensor, reason: reason)
  }
}

/// The prompts of a group that have not failed, at every block and in either pass.
///
/// A prompt takes part only up to the block where it failed. So which Jacobians share a unit depends on the failures alone, not
/// on whether the run was resumed in between.
struct GroupSurvivors {
  /// The failures, by the prompts' positions within the group.
  private(set) var lost: [Int: LostPrompt]
  private let group: PromptGroup
  private let journal: any RunJournal

  /// The survivors according to the journal.
  init(_ group: PromptGroup, _ journal: any RunJournal) throws {
    (self.group, self.journal) = (group, journal)
    lost = [:]
    for (p, prompt) in group.prompts.enumerated() {
      lost[p] = try journal.failure(ofPrompt: prompt)
    }
  }

  /// Records a failure. Only the first one of a prompt counts, in the order of the blocks.
  mutating func lose(_ p: Int, _ failure: LostPrompt) throws {
    if let known = lost[p], !failure.isBefore(known) { return }
    lost[p] = failure
    try journal.keep(failure, ofPrompt: group.prompts.lowerBound + p)
  }

  /// Whether all prompts have failed.
  var isEmpty: Bool { lost.count == group.prompts.count }

  /// Whether the prompt's states go through block `layer` and its Jacobian there is solved.
  func isSolved(prompt p: Int, layer: Int) -> Bool {
    guard let failure = lost[p], failure.pass == .solving else { return true }
    return failure.layer > layer
  }

  /// Whether couplings of the prompt's Jacobian at block `layer` are computed.
  func isCoupled(prompt p: Int, layer: Int) -> Bool {
    guard let failure = lost[p] else { return true }
    return failure.pass == .coupling && failure.layer < layer
  }

  /// The Jacobians that are solved at a block.
  func solved(layer: Int) -> [Int] {
    group.jacobians.indices.filter { isSolved(prompt: group.jacobians[$0].prompt, layer: layer) }
  }

  /// The Jacobians whose couplings are computed at a block.
  func coupled(layer: Int) -> [Int] {
    group.jacobians.indices.filter { isCoupled(prompt: group.jacobians[$0].prompt, layer: layer) }
  }
}
