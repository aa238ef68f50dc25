import Alignment
import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The first pass of a group of prompts through the blocks: hidden states, and at each block the Jacobians' triplets.
///
/// What the journal holds already is taken from it, and everything found is kept there. A block's linearizations are kept,
/// without their workspace, for the second pass: a few vectors of the block's widths and the keys and values its attention
/// saw, so no block is evaluated twice.
struct SolvePass {
  /// For every linearized block, the triplets of all problems of the group.
  private(set) var solved: [SolvedBlock] = []
  /// For every linearized block whose couplings are still to be computed, one a batch; their rows are its problems.
  private(set) var jacobians: [[Linearization<Float>]?]
  /// One a prompt.
  private(set) var paths: [PathRecord]

  /// Runs the pass; `step` hears of every block that is done, whether it was new, and may throw.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup, plan: SolvePlan,
    journal: any RunJournal, saveHiddenStates: Bool, decode: (Int) -> String?,
    step: (_ blocks: Int, _ isNew: Bool) throws -> Void
  ) throws {
    let known = try journal.paths(ofGroup: group)
    let layers = model.description.layers
    jacobians = plan.layers.map { _ in nil }
    var triplets = try plan.layers.map { try journal.solved(group, layer: $0) }
    let lacksCouplings = try plan.layers.map { try journal.couplings(group, layer: $0) == nil }
    let isNeeded = plan.layers.indices.map {
      triplets[$0] == nil || lacksCouplings[$0] || (known == nil && plan.coversPath)
    }
    let deepest =
      known == nil ? layers : plan.layers.indices.last { isNeeded[$0] }.map { plan.layers[$0] } ?? 0
    var walk = try PathWalk(
      model, inputs, group, coversPath: plan.coversPath, keepsStates: saveHiddenStates,
      isRecording: known == nil)
    for l in 1...layers {
      guard l <= deepest else {
        try step(l, false)
        continue
      }
      model.advise(.willNeed, block: l)  // the next one, while this one is worked on
      let point = try walk.advance(through: model)
      var isNew = false
      if let i = plan.layers.firstIndex(of: l), isNeeded[i] {
        let linearize = { (members: [Int]) in
          residualJacobian(
            model, at: point,
            members.map { (group.problems[$0].prompt, group.problems[$0].tokens) },
            site: plan.site, normed: l == plan.normedLayer)
        }
        let batches = group.batches.map { linearize(Array($0)) }
        if triplets[i] == nil {
          isNew = true
          let found = try Self.solve(batches, group, linearize, plan)
          try journal.keep(found, group, layer: l)
          triplets[i] = found
        }
        walk.follow(batches)
        for batch in batches { batch.releaseWorkspace() }
        if lacksCouplings[i] { jacobians[i] = batches }
      }
      try walk.observe()
      model.advise(.dontNeed, block: l - 1)
      try step(l, isNew)
    }
    solved = triplets.map { $0! }
    if let known {
      paths = known
    } else {
      if saveHiddenStates { try journal.keep(hiddenStates: walk.saved, group) }
      paths = walk.records(model, decode: decode)
      try journal.keep(paths, ofGroup: group)
    }
  }

  /// The block solver takes a batch in lockstep; the others one problem after another.
  private static func solve(
    _ batches: [Linearization<Float>], _ group: PromptGroup,
    _ linearize: @escaping ([Int]) -> Linearization<Float>, _ plan: SolvePlan
  ) throws -> SolvedBlock {
    let start = monotonicSeconds()
    let solver = plan.solver.solver(tolerance: plan.tolerance, seed: plan.seed)
    var triplets: [SingularTriplets] = []
    for (batch, members) in zip(batches, group.batches) {
      if members.count > 1, plan.top < batch.inputShape.columns - 1,
        let lockstep = solver as? BlockLanczosSolver
      {
        let part = { (active: [Int]) in linearize(active.map { members.lowerBound + $0 }) }
        triplets += try lockstep.partialSVDs(of: LockstepJacobian(batch, part), count: plan.top)
      } else {
        triplets += try members.map { problem in
          // With one problem the row is the whole.
          let a = members.count == 1 ? batch : linearize([problem])
          return try solver.partialSVD(of: a, count: plan.top)
        }
      }
    }
    return SolvedBlock(
      triplets: triplets, seconds: (monotonicSeconds() - start) / Double(triplets.count))
  }
}
