import Alignment
import LinearAlgebra
import Model

extension RunVerification {
  /// The largest relative difference allowed between norms of hidden states in single and double precision: a hundred times
  /// what real models show, for sums of a few thousand terms in each of some dozens of blocks.
  private static let normTolerance = 1e-4

  /// Checks everything. Throws `RunError.badRun` for a record or arrays that do not fit the run, `interrupted`, and what a
  /// model throws that is not finite or changes in the meantime.
  package func run(progress: (any RunProgress)? = nil) throws -> VerificationReport {
    let start = monotonicSeconds()
    let jacobians = resolved.selections.reduce(0) { $0 + $1.count } * layers.count
    var count = ProgressCount(solving: (jacobians, 1), coupling: (jacobians, 1))
    var tally = begun
    let reader = BlockReader(loaded.model) {
      progress?.report($0)
      if progress?.isCancelled == true { throw RunError.interrupted(resume: nil) }
    }
    let step = { (phase: ProgressCount.Phase) in
      progress?.update(count.add(1, to: phase, computed: true))
      if progress?.isCancelled == true { throw RunError.interrupted(resume: nil) }
    }
    for place in prompts.indices {
      try loaded.engine.use { try check(loaded.model, place, &tally, reader, step) }
    }
    try loaded.model.source.checkIntact()
    return tally.report(
      run: folder, model: loaded.directory.request, seconds: monotonicSeconds() - start)
  }

  /// One prompt's walk through the blocks, and the sample of its couplings.
  private func check(
    _ model: some Transformer, _ place: Int, _ tally: inout VerificationTally,
    _ reader: BlockReader, _ step: (ProgressCount.Phase) throws -> Void
  ) throws {
    let index = prompts[place]
    let record = try file.prompt(index, hasOverlaps: false)
    var generator = SeededGenerator(seed: UInt64(index))
    var states = try HiddenStates<Double>(inputs: [loaded.prompts[place].input], in: model)
    try checkNorms(states, record, index, &tally)
    var jacobians: [CouplingCheck.Place: RecomputedJacobian] = [:]
    let last = layers.last ?? 1
    for layer in 1...last {
      try reader.enter(.block(layer - 1), next: layer < last ? .block(layer) : nil)
      let point = try states.advance(through: model)
      try checkNorms(states, record, index, &tally)
      for tokens in layers.contains(layer) ? resolved.selections[place] : [] {
        let at = CouplingCheck.Place(layer: layer, tokens: tokens)
        jacobians[at] = try recomputed(
          model, point, at, record, index, &generator, &tally)
        try step(.solving)
      }
      reader.leave(.block(layer - 1))
    }
    let check = CouplingCheck(
      jacobians: jacobians, sample: extent.sample,
      basis: { try vectors($0, index) })
    try check.run(record.coupling, &generator, &tally) { try step(.coupling) }
  }

  private func checkNorms(
    _ states: HiddenStates<Double>, _ record: PromptRecord, _ index: Int,
    _ tally: inout VerificationTally
  ) throws {
    let norms = states.states(ofPrompt: 0).rowNorms
    let recorded = record.trajectory.norms
    guard recorded.indices.contains(states.depth), recorded[states.depth].count == norms.count
    else {
      throw RunError.badRun(
        path: folder, reason: "result.json: prompt \(index + 1) lacks norms of hidden states")
    }
    for (token, (found, norm)) in zip(norms, recorded[states.depth]).enumerated() {
      tally.add(
        VerificationFinding(
          kind: .hiddenNorms, prompt: index + 1, layer: states.depth, fromToken: token,
          toToken: token, rank: nil, reading: nil, recorded: norm, found: found,
          difference: abs(found - norm), limit: Self.normTolerance * found))
    }
  }

  /// Linearizes a Jacobian again and checks its triplets and derivative.
  private func recomputed(
    _ model: some Transformer, _ point: BlockPoint<Double>, _ at: CouplingCheck.Place,
    _ record: PromptRecord, _ index: Int, _ generator: inout SeededGenerator,
    _ tally: inout VerificationTally
  ) throws -> RecomputedJacobian {
    guard
      let layer = record.layers.first(where: {
        $0.layer == at.layer && $0.fromToken == at.tokens.source && $0.toToken == at.tokens.target
      })
    else {
      throw RunError.badRun(
        path: folder, reason: "result.json: prompt \(index + 1) lacks block \(at.layer)")
    }
    let isNormed = at.layer == resolved.normedLayer
    let vectors = try vectors(at, index)
    let jacobian = RecomputedJacobian(
      layer, prompt: index + 1,
      residualJacobian(model, at: point, [(0, at.tokens)], site: resolved.site, normed: isNormed),
      vectors, tolerance: resolved.tolerance)
    guard jacobian.isWhole else {
      throw RunError.badRun(
        path: folder,
        reason: "triplets.safetensors: the vectors of \(name(at, index)) do not match result.json")
    }
    jacobian.checkTriplets(values: try stored.list("\(name(at, index)).S"), &tally)
    jacobian.checkDerivative(&generator, &tally) {
      residualDifference(
        model, at: point, prompt: 0, tokens: at.tokens, site: resolved.site, normed: isNormed,
        along: $0)
    }
    if model.description.width <= extent.denseWidth { try jacobian.checkAgainstDense(&tally) }
    jacobian.jacobian.releaseWorkspace()
    return jacobian
  }

  private func name(_ at: CouplingCheck.Place, _ index: Int) -> String {
    StoredTriplets.name(
      prompt: index, layer: at.layer, at.tokens, variesTokens: file.head.settings.variesTokens)
  }

  /// The stored vectors of a Jacobian, with equal numbers of left and right ones.
  private func vectors(_ at: CouplingCheck.Place, _ index: Int) throws -> SingularVectors {
    let name = name(at, index)
    let vectors = SingularVectors(
      left: try stored.matrix("\(name).U"), right: try stored.matrix("\(name).V"))
    let width = loaded.model.description.width
    guard vectors.left.columns == width, vectors.right.columns == width,
      vectors.left.rows == vectors.right.rows, vectors.left.rows > 0
    else {
      throw RunError.badRun(
        path: folder, reason: "triplets.safetensors: \(name) has vectors of another length")
    }
    return vectors
  }
}
