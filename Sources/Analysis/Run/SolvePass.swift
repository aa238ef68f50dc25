import Alignment
import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The first pass of a group of prompts through the blocks: hidden states, and at each block the Jacobians' triplets.
///
/// What the journal already holds is taken from it, and everything found is kept there. A block's linearizations are kept,
/// without their workspace, for the second pass: a few vectors of the block's widths and the keys and values its attention
/// read, so no block is evaluated twice. A prompt that fails is dropped, and the others continue.
struct SolvePass {
  /// For each linearized block, the triplets of the group's Jacobians; nil if all prompts had failed before it.
  private(set) var solved: [SolvedBlock?] = []
  /// For each linearized block whose couplings are still to be computed, its linearizations.
  private(set) var jacobians: [[JacobianBatch]?]
  /// The prompts that have not failed.
  private(set) var survivors: GroupSurvivors

  /// Runs the pass; `step` is called after each block, with whether it was computed now, and may throw.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    resolved: ResolvedSettings,
    journal: any RunJournal, saveHiddenStates: Bool, decode: (Int) -> String?,
    step: (_ blocks: Int, _ isNew: Bool) throws -> Void
  ) throws {
    switch resolved.precision {
    case .auto, .single:
      try self.init(
        model, inputs, group, resolved, journal, saveHiddenStates, decode, as: Float.self,
        twin: Double.self, step: step)
    case .double:
      try self.init(
        model, inputs, group, resolved, journal, saveHiddenStates, decode, as: Double.self,
        twin: Float.self, step: step)
    }
  }

  private init<Scalar: RealScalar, Twin: RealScalar>(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    _ resolved: ResolvedSettings, _ journal: any RunJournal, _ saveHiddenStates: Bool,
    _ decode: (Int) -> String?, as precision: Scalar.Type, twin: Twin.Type,
    step: (_ blocks: Int, _ isNew: Bool) throws -> Void
  ) throws {
    var survivors = try GroupSurvivors(group, journal)
    let known = try journal.paths(ofGroup: group).flatMap { paths -> [PathRecord?]? in
      // The states were not requested when the paths were followed.
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
    let unsolved = resolved.layers.indices.last { triplets[$0] == nil }.map { resolved.layers[$0] }
    var walk = try PathWalk<Scalar>(
      model, inputs, group, coversPath: resolved.coversPath, keepsStates: saveHiddenStates,
      isRecording: known == nil, &survivors)
    var sample = unsolved == nil ? nil : try NoiseSample<Scalar, Twin>(model, inputs, group)
    for l in 1...layers {
      guard l <= deepest, !survivors.solved(layer: l).isEmpty else {
        try step(l, false)
        continue
      }
      model.advise(.willNeed, block: l)  // the next block, while this one is in use
      let point = try walk.advance(through: model, &survivors)
      let place = l > unsolved ?? 0 ? nil : sample?.advance(through: model, beside: point)
      if place == nil { sample = nil }
      var isNew = false
      if let i = resolved.layers.firstIndex(of: l), isNeeded[i] {
        let block = BlockSolve(model, at: point, group, resolved, layer: l)
        block.linearize(survivors.solved(layer: l))
        if triplets[i] == nil {
          isNew = true
          var found: SolvedBlock?
          while found == nil, !block.isEmpty {
            do {
              found = try block.solved(sample, at: place)
            } catch let failure as SolveFailure {
              let jacobian = group.jacobians[failure.jacobian]
              try survivors.lose(
                jacobian.prompt,
                LostPrompt(.solving, layer: l, jacobian.tokens, reason: failure.reason))
              walk.remove(prompt: jacobian.prompt)
              block.linearize(survivors.solved(layer: l))
            }
          }
          if let found { try journal.keep(found, group, layer: l) }
          triplets[i] = found
        }
        let batches = triplets[i].map { block.operators($0.precisions) } ?? []
        walk.follow(batches)
        for batch in batches { batch.releaseWorkspace() }
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
}
