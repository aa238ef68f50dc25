import LinearAlgebra

/// A journal that keeps a unit only if the model's files are still those that were opened.
///
/// A file that is truncated while it is mapped reads as zeros, and numbers computed from those must never be kept: a resumed
/// run could not detect them.
final class GuardedJournal: RunJournal {
  private let base: any RunJournal
  private let check: () throws -> Void

  /// `check` throws if the model has changed since it was opened.
  init(_ base: any RunJournal, check: @escaping () throws -> Void) {
    (self.base, self.check) = (base, check)
  }

  func solved(_ group: PromptGroup, layer: Int) throws -> SolvedBlock? {
    try base.solved(group, layer: layer)
  }

  func keep(_ solved: SolvedBlock, _ group: PromptGroup, layer: Int) throws {
    try check()
    try base.keep(solved, group, layer: layer)
  }

  func couplings(_ group: PromptGroup, layer: Int) throws -> [JacobianCouplings?]? {
    try base.couplings(group, layer: layer)
  }

  func keep(_ couplings: [JacobianCouplings?], _ group: PromptGroup, layer: Int) throws {
    try check()
    try base.keep(couplings, group, layer: layer)
  }

  func kept(_ group: PromptGroup, layer: Int) throws -> KeptBlock? {
    try base.kept(group, layer: layer)
  }

  func paths(ofGroup group: PromptGroup) throws -> [PathRecord?]? {
    try base.paths(ofGroup: group)
  }

  func keep(_ paths: [PathRecord?], ofGroup group: PromptGroup) throws {
    try check()
    try base.keep(paths, ofGroup: group)
  }

  func failure(ofPrompt prompt: Int) throws -> LostPrompt? { try base.failure(ofPrompt: prompt) }

  func keep(_ failure: LostPrompt, ofPrompt prompt: Int) throws {
    try check()
    try base.keep(failure, ofPrompt: prompt)
  }

  func hiddenStates(_ group: PromptGroup) throws -> KeptStates? {
    try base.hiddenStates(group)
  }

  func keep(hiddenStates: [[Matrix<Float>]], _ group: PromptGroup) throws {
    try check()
    try base.keep(hiddenStates: hiddenStates, group)
  }
}
