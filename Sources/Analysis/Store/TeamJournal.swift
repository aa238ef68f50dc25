import LinearAlgebra
import Processes

/// A journal that the members of a team use alike: the leader writes, and what is read counts only if all members can read it.
///
/// Members compute the same results, so each of them knows what the others keep.
final class TeamJournal: RunJournal {
  private let base: any RunJournal
  private let team: any Communicator

  init(_ base: any RunJournal, _ team: any Communicator) { (self.base, self.team) = (base, team) }

  private func agreed<Unit>(_ unit: Unit?) -> Unit? { team.isAny(unit == nil) ? nil : unit }

  private func write(_ keep: () throws -> Void) rethrows { if team.isLeader { try keep() } }

  func solved(_ group: PromptGroup, layer: Int) throws -> SolvedBlock? {
    agreed(try base.solved(group, layer: layer))
  }

  func keep(_ solved: SolvedBlock, _ group: PromptGroup, layer: Int) throws {
    try write { try base.keep(solved, group, layer: layer) }
  }

  func couplings(_ group: PromptGroup, layer: Int) throws -> [JacobianCouplings?]? {
    agreed(try base.couplings(group, layer: layer))
  }

  func keep(_ couplings: [JacobianCouplings?], _ group: PromptGroup, layer: Int) throws {
    try write { try base.keep(couplings, group, layer: layer) }
  }

  func kept(_ group: PromptGroup, layer: Int) throws -> KeptBlock? {
    agreed(try base.kept(group, layer: layer))
  }

  func paths(ofGroup group: PromptGroup) throws -> [PathRecord?]? {
    agreed(try base.paths(ofGroup: group))
  }

  func keep(_ paths: [PathRecord?], ofGroup group: PromptGroup) throws {
    try write { try base.keep(paths, ofGroup: group) }
  }

  func failure(ofPrompt prompt: Int) throws -> LostPrompt? {
    agreed(try base.failure(ofPrompt: prompt))
  }

  func keep(_ failure: LostPrompt, ofPrompt prompt: Int) throws {
    try write { try base.keep(failure, ofPrompt: prompt) }
  }

  func hiddenStates(_ group: PromptGroup) throws -> KeptStates? {
    agreed(try base.hiddenStates(group))
  }

  func keep(hiddenStates: [[Matrix<Float>]], _ group: PromptGroup) throws {
    try write { try base.keep(hiddenStates: hiddenStates, group) }
  }
}
