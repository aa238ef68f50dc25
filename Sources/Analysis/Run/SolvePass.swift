import Alignment
import Autodiff
import Files
import Lanczos
import LinearAlgebra
import Model
import Weights

/// The first pass of a group of prompts through the blocks: hidden states, and at each block the Jacobians' triplets.
///
/// What the journal already holds is taken from it, and everything found is kept there. A block's linearizations are kept,
/// without their workspace, for the second pass: a few vectors of the block's widths and the keys and values its attention
/// read, so no block is evaluated twice. A prompt that fails is dropped, and the others continue.
///
/// If a block's Jacobians are fewer than the threads, and small, it is solved together with the blocks after it, whose Jacobians do
/// not depend on its triplets. Beside solves that take a thread each, the blocks solved next are reached.
struct SolvePass {
  /// For each linearized block, the triplets of the group's Jacobians; nil if all prompts had failed before it.
  private(set) var solved: [SolvedBlock?] = []
  /// For each linearized block whose couplings are still to be computed, its linearizations.
  private(set) var jacobians: [[JacobianBatch]?]
  /// The prompts that have not failed.
  private(set) var survivors: GroupSurvivors
  /// Whether every block was solved without the prompts that failed before it, and with all others. If not, another team found
  /// a failure too late for this one, and the pass is to be repeated.
  private(set) var isSettled = true

  /// The number of blocks that are solved together if each of them has this many batches for one thread each; nil if threads work
  /// together in every batch.
  static func blocksTogether(_ batches: Int?, _ resolved: ResolvedSettings) -> Int {
    guard let batches, !resolved.hasMemoryLimit else { return 1 }
    return (Engine.currentThreads + batches - 1) / max(1, batches)
  }

  /// The number of blocks that are reached while this many are solved together, if their solves have a thread each. With many tokens
  /// none are: all threads together pass through a block sooner, and its evaluation needs the memory that the solves have.
  static func blocksAhead(
    ofTogether count: Int, isDivided: Bool, tokens: Int, _ resolved: ResolvedSettings
  ) -> Int {
    isDivided && Engine.currentThreads > 1 && tokens <= 256 && !resolved.hasMemoryLimit ? count : 0
  }

  /// Runs the pass; `step` is called after each block, with whether this team had it and whether it was computed now, and may
  /// throw.
  init(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup, _ share: GroupShare,
    resolved: ResolvedSettings,
    journal: any RunJournal, reader: BlockReader? = nil, saveHiddenStates: Bool,
    decode: (Int) -> String?,
    step: (_ isOwn: Bool, _ isNew: Bool) throws -> Void
  ) throws {
    let reader = reader ?? BlockReader(model)
    switch resolved.precision {
    case .auto, .single:
      try self.init(
        model, inputs, group, share, resolved, journal, reader, saveHiddenStates, decode,
        as: Float.self, twin: Double.self, step: step)
    case .double:
      try self.init(
        model, inputs, group, share, resolved, journal, reader, saveHiddenStates, decode,
        as: Double.self, twin: Float.self, step: step)
    }
  }

  private init<Scalar: RealScalar, Twin: RealScalar>(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup, _ share: GroupShare,
    _ resolved: ResolvedSettings, _ journal: any RunJournal, _ reader: BlockReader,
    _ saveHiddenStates: Bool,
    _ decode: (Int) -> String?, as precision: Scalar.Type, twin: Twin.Type,
    step: (_ isOwn: Bool, _ isNew: Bool) throws -> Void
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
    let isRecording = try known == nil && share.takesPaths()
    let layers = model.description.layers
    jacobians = resolved.layers.map { _ in nil }
    var triplets = try resolved.layers.map { layer in
      try journal.solved(group, layer: layer).flatMap { block in
        block.jacobians == survivors.solved(layer: layer) ? block : nil
      }
    }
    let lacksCouplings = try resolved.layers.map { layer in
      let found = try journal.couplings(group, layer: layer)
      return survivors.coupled(layer: layer).contains { found?[$0] == nil }
    }
    let coversPath = known == nil && resolved.coversPath
    let isNeeded = resolved.layers.indices.map {
      triplets[$0] == nil || lacksCouplings[$0] || coversPath
    }
    let deepest =
      isRecording
      ? layers : resolved.layers.indices.last { isNeeded[$0] }.map { resolved.layers[$0] } ?? 0
    let unsolved = resolved.layers.indices.last { triplets[$0] == nil }.map { resolved.layers[$0] }
    var walk = try PathWalk<Scalar>(
      model, inputs, group, keepsStates: saveHiddenStates, isRecording: isRecording, &survivors)
    var image = coversPath ? LinearisedImage(walk.selected, share) : nil
    var sample = unsolved == nil ? nil : try NoiseSample<Scalar, Twin>(model, inputs, group)
    // A block's states stay, between what its evaluation has freed. With few tokens that is too little to be worth returning.
    let tokens = inputs.reduce(0) { $0 + model.description.tokenCount(of: $1) }
    let returnsMemory = tokens > 64
    /// Passes through block `l`, and linearizes its Jacobians if this team has them and they are needed.
    func reach(_ l: Int) throws -> ReachedBlock<Scalar, Twin> {
      let i = resolved.layers.firstIndex(of: l)
      var reached = ReachedBlock<Scalar, Twin>(layer: l, place: i)
      guard l <= deepest, !survivors.solved(layer: l).isEmpty else {
        reached.isOwn = try share.takes(layer: l)
        return reached
      }
      try reader.enter(.block(l - 1), next: l < deepest ? .block(l) : isRecording ? .head : nil)
      reached.isRead = true
      let point = try walk.advance(through: model, &survivors)
      reached.isOwn = try share.takes(layer: l)
      if let i, isNeeded[i], reached.isOwn {
        let block = BlockSolve<Scalar, Twin>(
          model, at: point, group, resolved, layer: l, isStopped: share.isStopped)
        block.linearize(survivors.solved(layer: l))
        reached.block = block
        reached.isNew = triplets[i] == nil
      }
      try walk.observe(survivors)
      return reached
    }
    /// Takes the sample through block `l`, or only to it if no later one is solved, if it is followed so far.
    func sampled(_ l: Int) -> NoiseSample<Scalar, Twin>.Step? {
      let step =
        l > unsolved ?? 0 ? nil : sample?.advance(through: model, isLast: l == unsolved)
      if step == nil { sample = nil }
      return step
    }
    /// Whether the solves of these blocks have a thread each.
    func isDivided(_ stretch: [ReachedBlock<Scalar, Twin>]) -> Bool {
      !share.isShared && stretch.allSatisfy { $0.isNew && $0.block?.suitsOneThread ?? false }
    }
    func together(_ stretch: [ReachedBlock<Scalar, Twin>]) -> Int {
      guard let first = stretch.first?.block, isDivided(stretch) else { return 1 }
      return Self.blocksTogether(first.count, resolved)
    }

    var l = 0
    var next: [ReachedBlock<Scalar, Twin>] = []
    while l < layers || !next.isEmpty {
      var stretch = next
      while l < layers, stretch.count < together(stretch) {
        l += 1
        let reached = try reach(l)
        // The sample passes through blocks that are not solved too.
        let step = sampled(l)
        reached.block?.compare(beside: step)
        stretch.append(reached)
      }
      let solved = stretch.compactMap { $0.isNew ? $0.block : nil }
      if stretch[0].isNew { stretch[0].block?.image = image?.before(layer: stretch[0].layer) }
      // Threads that have no more to solve pass through the blocks that are solved next.
      let count = Self.blocksAhead(
        ofTogether: together(stretch), isDivided: isDivided(stretch), tokens: tokens, resolved)
      let ahead = count > 0 && l < layers ? l + 1...min(l + count, layers) : nil
      var failure: (any Error)?
      var steps: [NoiseSample<Scalar, Twin>.Step?] = []
      next = []
      let walkAhead = {
        do {
          for l in ahead! { try next.append(reach(l)) }
        } catch { failure = error }
      }
      let sampleAhead = { steps = ahead!.map(sampled) }
      BlockSolve.solve(solved, beside: ahead == nil ? [] : [walkAhead, sampleAhead])
      for (reached, step) in zip(next, steps) { reached.block?.compare(beside: step) }
      l = ahead?.upperBound ?? l
      for (s, reached) in stretch.enumerated() {
        var lost: [Int: LostPrompt] = [:]
        if let i = reached.place, let block = reached.block {
          while triplets[i] == nil, block.count > 0 {
            do {
              triplets[i] = try block.solved()
            } catch let failure as SolveFailure {
              try share.checkStop()
              let jacobian = group.jacobians[failure.jacobian]
              let loss = LostPrompt(
                .solving, layer: reached.layer, jacobian.tokens, reason: failure.reason)
              lost[jacobian.prompt] = loss
              try survivors.lose(jacobian.prompt, loss)
              walk.remove(prompt: jacobian.prompt)
              for later in stretch[s...] + next {
                later.block?.linearize(survivors.solved(layer: later.layer))
              }
            }
          }
          if reached.isNew, let found = triplets[i] {
            try journal.keep(found, group, layer: reached.layer)
          }
          let batches = triplets[i].map { block.operators($0.precisions) } ?? []
          try image?.follow(batches, layer: reached.layer)
          for batch in batches { batch.releaseWorkspace() }
          if lacksCouplings[i] { jacobians[i] = batches }
        }
        if reached.isRead { reader.leave(.block(reached.layer - 1)) }
        if !reached.isOwn { try image?.leave(layer: reached.layer) }
        if reached.isOwn, let i = reached.place {
          try share.finish(layer: reached.layer, triplets[i], lost: lost)
        }
      }
      // All of them are kept before the work may be stopped.
      for reached in stretch { try step(reached.isOwn, reached.isNew) }
      // What comes after the last solved block needs memory of its own.
      if stretch.contains(where: { $0.layer == resolved.layers.last }) { freeSpareMaps() }
      if let failure { throw failure }
      if returnsMemory { returnFreedMemory() }
    }
    try share.allAreTaken()
    if share.isShared {
      let found = try share.found(layers: resolved.layers)
      for (p, loss) in found.flatMap(\.lost) { try survivors.lose(p, loss) }
      for (i, layer) in resolved.layers.enumerated() where isSettled {
        let members = survivors.solved(layer: layer)
        isSettled = found[i].jacobians == members
        guard isSettled, triplets[i]?.jacobians != members, !members.isEmpty else { continue }
        triplets[i] = try share.visible(layer: layer) {
          try journal.solved(group, layer: layer).flatMap { $0.jacobians == members ? $0 : nil }
        }
      }
    }
    solved = triplets
    self.survivors = survivors
    guard isSettled else { return }
    let hasEnd = !survivors.solved(layer: layers).isEmpty
    if hasEnd {
      if !isRecording { try image?.leave(layer: layers + 1) }
      try image?.finish()
    }
    if isRecording {
      if saveHiddenStates { try journal.keep(hiddenStates: walk.saved(survivors), group) }
      try reader.enter(.head)
      defer { reader.leave(.head) }
      try journal.keep(
        walk.records(
          model, survivors, image: hasEnd ? image?.after(layer: layers) : nil, decode: decode),
        ofGroup: group)
    }
  }
}

/// A block that the pass has reached, and what is to be done there.
private struct ReachedBlock<Scalar: RealScalar, Twin: RealScalar> {
  /// The block, from 1, and its position among those that are linearized.
  let layer: Int
  let place: Int?
  /// Whether this team has it.
  var isOwn = false
  /// Whether its weights are in use.
  var isRead = false
  /// Its Jacobians, if they are needed, and whether they are to be solved.
  var block: BlockSolve<Scalar, Twin>?
  var isNew = false

  init(layer: Int, place: Int?) { (self.layer, self.place) = (layer, place) }
}
