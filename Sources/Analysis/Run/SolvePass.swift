import Alignment
import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The first pass of a group of prompts through the blocks: hidden states, and at each block the Jacobians' triplets.
///
/// What the journal holds already is taken from it, and everything found is kept there. A block's linearizations are kept,
/// without their workspace, for the second pass: a few vectors of the block's widths and the keys and values its attention
/// saw, so no block is evaluated twice. A prompt that fails is left behind, and the others go on.
struct SolvePass {
  /// Some Jacobians of a group, and the linearization whose rows they are.
  struct Batch {
    let members: [Int]
    let linearization: Linearization<Float>
  }

  /// For every linearized block, the triplets of the group's Jacobians; nil where all prompts had failed before it.
  private(set) var solved: [SolvedBlock?] = []
  /// For every linearized block whose couplings are still to be computed, its linearizations.
  private(set) var jacobians: [[Batch]?]
  /// The prompts that have not failed.
  private(set) var survivors: GroupSurvivors

  /// Runs the pass; `step` is called after each block, with whether it was computed now, and may throw.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    resolved: ResolvedSettings,
    journal: any RunJournal, saveHiddenStates: Bool, decode: (Int) -> String?,
    step: (_ blocks: Int, _ isNew: Bool) throws -> Void
  ) throws {
    var survivors = try GroupSurvivors(group, journal)
    let known = try journal.paths(ofGroup: group).flatMap { paths -> [PathRecord?]? in
      // States that were not wanted when the paths were followed.
      guard try !saveHiddenStates || journal.hiddenStates(group) != nil else { return nil }
      let isWhole = paths.indices.allSatisfy {
        paths[$0] != nil || !survivors.isSolved(prompt: $0, layer: model.description.layers)
      }
      return isWhole ? paths : nil
    }
    let layers = model.description.layers
    jacobians = resolved.layers.map { _ in nil }
    var triplets = try resolved.layers.map { layer in
      try journal.solved(group, layer: layer).flatMap { block in
        survivors.solved(layer: layer).allSatisfy { block.triplets[$0] != nil } ? block : nil
      }
    }
    let lacksCouplings = try resolved.layers.map { layer in
      let found = try journal.couplings(group, layer: layer)
      return survivors.coupled(layer: layer).contains { found?[$0] == nil }
    }
    let isNeeded = resolved.layers.indices.map {
      triplets[$0] == nil || lacksCouplings[$0] || (known == nil && resolved.coversPath)
    }
    let deepest =
      known == nil
      ? layers : resolved.layers.indices.last { isNeeded[$0] }.map { resolved.layers[$0] } ?? 0
    var walk = try PathWalk(
      model, inputs, group, coversPath: resolved.coversPath, keepsStates: saveHiddenStates,
      isRecording: known == nil, &survivors)
    for l in 1...layers {
      guard l <= deepest, !survivors.solved(layer: l).isEmpty else {
        try step(l, false)
        continue
      }
      model.advise(.willNeed, block: l)  // the next one, while this one is worked on
      let point = try walk.advance(through: model, &survivors)
      var isNew = false
      if let i = resolved.layers.firstIndex(of: l), isNeeded[i] {
        let linearize = { (members: [Int]) in
          residualJacobian(
            model, at: point,
            members.map { (group.jacobians[$0].prompt, group.jacobians[$0].tokens) },
            site: resolved.site, normed: l == resolved.normedLayer)
        }
        var batches = Self.batches(group, survivors.solved(layer: l), linearize)
        if triplets[i] == nil {
          isNew = true
          var found: SolvedBlock?
          while found == nil, !batches.isEmpty {
            do {
              found = try Self.solve(batches, group, linearize, resolved)
            } catch let failure as SolveFailure {
              let jacobian = group.jacobians[failure.jacobian]
              try survivors.lose(
                jacobian.prompt,
                LostPrompt(.solving, layer: l, jacobian.tokens, reason: failure.reason))
              walk.remove(prompt: jacobian.prompt)
              batches = Self.batches(group, survivors.solved(layer: l), linearize)
            }
          }
          if let found { try journal.keep(found, group, layer: l) }
          triplets[i] = found
        }
        walk.follow(batches)
        for batch in batches { batch.linearization.releaseWorkspace() }
        if lacksCouplings[i] { jacobians[i] = batches }
      }
      try walk.observe(survivors)
      model.advise(.dontNeed, block: l - 1)
      try step(l, isNew)
    }
    solved = triplets
    self.survivors = survivors
    if known == nil {
      if saveHiddenStates { try journal.keep(hiddenStates: walk.saved(survivors), group) }
      try journal.keep(walk.records(model, survivors, decode: decode), ofGroup: group)
    }
  }

  /// The group's batches without the Jacobians of prompts that have failed.
  private static func batches(
    _ group: PromptGroup, _ jacobians: [Int], _ linearize: ([Int]) -> Linearization<Float>
  ) -> [Batch] {
    let isActive = Set(jacobians)
    return group.batches.compactMap { batch in
      let members = batch.filter(isActive.contains)
      return members.isEmpty ? nil : Batch(members: members, linearization: linearize(members))
    }
  }

  /// A solve that failed for one Jacobian.
  private struct SolveFailure: Error {
    /// Its position in the group.
    let jacobian: Int
    let error: any Error

    /// What happened, without what the author of an operator could do about it.
    var reason: String { failureReason(error) }
  }

  /// The triplets of all batches. Throws `SolveFailure`.
  private static func solve(
    _ batches: [Batch], _ group: PromptGroup,
    _ linearize: @escaping ([Int]) -> Linearization<Float>, _ resolved: ResolvedSettings
  ) throws -> SolvedBlock {
    let start = monotonicSeconds()
    let solver = resolved.solver.solver(tolerance: resolved.tolerance, seed: resolved.seed)
    var triplets = [SingularTriplets?](repeating: nil, count: group.jacobians.count)
    for batch in batches {
      let members = batch.members
      let jacobian = BatchedJacobian(batch.linearization) { linearize($0.map { members[$0] }) }
      do {
        let found = try solver.partialSVDs(of: jacobian, count: resolved.top)
        for (jacobian, t) in zip(members, found) { triplets[jacobian] = t }
      } catch let failure as MemberError {
        throw SolveFailure(jacobian: members[failure.member], error: failure.error)
      }
    }
    let count = batches.reduce(0) { $0 + $1.members.count }
    return SolvedBlock(triplets: triplets, seconds: (monotonicSeconds() - start) / Double(count))
  }
}
