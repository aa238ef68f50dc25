import Files
import Autodiff
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Processes
import Weights

/// The cost of a run, predicted without solving: memory by part, passes, a range of seconds.
///
/// The first blocks are evaluated and linearized as in the run, which gives the size of values and workspaces, and a few
/// products are timed. The rest is counted; passes come from `SolverCost`. With several processes all of it is about one of them,
/// the one with the largest slice of the blocks, which is rehearsed without the others.
public struct CostEstimate: Sendable {
  /// One item of the memory account.
  public struct Part: Sendable, Codable {
    /// What the memory holds.
    public let name: String
    /// The size in bytes.
    public let bytes: Int
  }

  /// Anonymous memory at its peak, by part.
  public let privateParts: [Part]
  /// Pages of the model's file in memory at the peak, and of the program's own files.
  public let mappedParts: [Part]
  /// The bytes of a block's weights that one pass reads.
  public let weightBytes: Int
  /// Readings of every linearized block's weights by the solves.
  public let solvePasses: Int
  /// Readings by forward pass, linearization and coupling.
  public let otherPasses: Int
  /// The bytes of weights that are read before they are needed, unless a limit on the memory leaves no room for them.
  private let readAhead: Int
  /// The number of groups that the prompts are divided into.
  public internal(set) var groups = 1
  /// The work of all groups, in units of the largest one's.
  var relativeWork = 1.0
  /// The processes.
  public let layout: ProcessLayout
  private let time: TeamTime
  private let traffic: GroupTraffic

  /// Wall-clock seconds that one team takes for the largest group of prompts, from best to worst.
  public var seconds: ClosedRange<Double> { TeamTime.range(time.seconds(work: 1, teams: 1)) }
  /// Wall-clock seconds of all groups, which the teams share.
  public var totalSeconds: ClosedRange<Double> {
    TeamTime.range(time.seconds(work: relativeWork, teams: layout.teams))
  }
  /// What the process hands to the others of its team; nil if it has no others.
  public var communication: CommunicationEstimate? {
    layout.slices == 1 ? nil : traffic.estimate(work: relativeWork, blocks: time.blocks, layout)
  }

  /// Predicted `peak_private_bytes`.
  public var peakPrivateBytes: Int { privateParts.reduce(0) { $0 + $1.bytes } }
  /// Predicted `peak_memory_bytes`.
  public var peakMemoryBytes: Int { peakPrivateBytes + mappedParts.reduce(0) { $0 + $1.bytes } }

  /// Throws `RunError.badSetting` when the prediction exceeds `limit`.
  public func requireWithin(_ limit: Int?) throws(RunError) {
    let least = peakMemoryBytes - readAhead
    guard let limit, least > limit else { return }
    let largest = (privateParts + mappedParts).max { $0.bytes < $1.bytes }
    throw .badSetting(
      .maxMemory, value: spokenBytes(limit),
      reason: "the run is predicted to need \(spokenBytes(least)), the largest part for "
        + "\(largest?.name ?? "weights"); allow more, or lower \(.top) or \(.ranks), run fewer prompts "
        + "at a time, or \(.solver) block instead of dense")
  }

  /// The cost of a run of the whole model `model` on a group of prompts.
  init(
    _ model: some Transformer, _ prompts: [ModelInput], _ group: PromptGroup,
    resolved: ResolvedSettings, saveHiddenStates: Bool, results: ResultCost, opening: Int,
    on layout: ProcessLayout
  ) throws {
    // A slice that this process has already is taken as it is: all members of its team make this call.
    let team = model.team ?? RehearsedMember(of: layout.slices)
    let part = model.team == nil ? try model.divided(over: team) : model
    let sample =
      resolved.precision == .double
      ? try SampleCost(part, prompts, group, resolved, as: Float.self, in: team)
      : try SampleCost(part, prompts, group, resolved, as: Double.self, in: team)
    switch resolved.precision {
    case .auto, .single:
      try self.init(
        part, team, prompts, group, resolved, saveHiddenStates, results, opening, sample, layout,
        as: Float.self)
    case .double:
      try self.init(
        part, team, prompts, group, resolved, saveHiddenStates, results, opening, sample, layout,
        as: Double.self)
    }
  }

  private init<Scalar: RealScalar>(
    _ model: some Transformer, _ team: any Communicator, _ prompts: [ModelInput],
    _ group: PromptGroup, _ resolved: ResolvedSettings, _ saveHiddenStates: Bool,
    _ results: ResultCost, _ opening: Int, _ sample: SampleCost, _ layout: ProcessLayout,
    as precision: Scalar.Type
  ) throws {
    let d = model.description
    let (width, n) = (d.width, prompts.reduce(0) { $0 + d.tokenCount(of: $1) })
    let (r, blocks) = (group.jacobians.count, resolved.layers.count)
    var batches = group.batches
    var largest = batches.max { $0.count < $1.count }!
    // What the sample, and the choice of the block size, took and freed is no part of the program.
    freeSpareMaps()
    returnFreedMemory()
    let program = MemoryMeter.privateBytes
    let residentFiles = max(0, MemoryMeter.residentBytes - program)

    // Two blocks as in the run: the first pays for cold pages, the second gives the time.
    let valuesBefore = ValueMemory.liveBytes
    ValueMemory.resetPeak()
    var states = try HiddenStates<Scalar>(inputs: prompts, in: model)
    var times: [Double] = []
    var saved = 0
    var evaluation = 0
    var walking = Traffic()
    var jacobian: Linearization<Scalar>?
    for l in 0..<min(2, d.layers) {
      let (start, sent) = (monotonicSeconds(), team.traffic)
      let point = try states.advance(through: model)
      evaluation = ValueMemory.peakBytes - valuesBefore
      let isFused = residualJacobian(
        model, at: point, [(group.jacobians[0].prompt, group.jacobians[0].tokens)],
        site: resolved.site
      ).isFused
      if model.team?.agreed(isFused) ?? isFused {
        batches = group.jacobians.indices.map { $0..<$0 + 1 }
        largest = batches[Self.largest(of: group, model, point, resolved)]
      }
      let live = ValueMemory.liveBytes
      jacobian = residualJacobian(
        model, at: point, group.jacobians[largest].map { ($0.prompt, $0.tokens) },
        site: resolved.site)
      // The caches of keys and values stay with the linearization; the states of the point do not.
      let values = (ValueMemory.liveBytes - live) * r / largest.count
      saved = max(saved, values + point.cacheBytes)
      times.append(monotonicSeconds() - start)
      walking = team.traffic - sent
      model.releasePages(ofBlock: l)
    }
    let a = jacobian!
    let cost = SolverCost(
      resolved.solver, width: width, count: resolved.top, batch: largest.count,
      certify: resolved.certify, blockSize: resolved.blockSize)
    let k = resolved.ranks.max()!
    let vectorBytes = width * MemoryLayout<Double>.stride

    // Products at the widths of the run.
    let batch = largest.count
    let sent = team.traffic
    let one = Self.seconds(of: a, rows: batch, vectors: cost.vectors)
    let sums = (team.traffic - sent).calls / Self.timedProducts
    let probes = resolved.top < width ? CouplingPass.probes : 0
    let couplingVectors = resolved.forms.count * resolved.mostBases * k + probes
    // Vectors of the bases that are applied together, with the probes beside the first ones.
    let chunkVectors =
      min(CouplingPass.chunk(rows: batch, rank: k), resolved.mostBases) * k + probes
    let wideVectors = CouplingPass.evenSlice(of: chunkVectors, rows: batch)
    let wide = Self.seconds(of: a, rows: batch, vectors: wideVectors)
    a.releaseWorkspace()

    let couplingCalls =
      (couplingVectors + wideVectors - 1) / wideVectors * batches.count
    let isDivided = layout.slices == 1 && a.suitsOneThread
    let isApart = isDivided && layout.teams == 1
    let together = min(
      blocks, SolvePass.blocksTogether(isApart ? batches.count : nil, resolved))
    let atOnce = isDivided ? Engine.threadsWorking(on: together * batches.count) : 1
    let solveWorkspace = atOnce * a.workspaceBytes(vectors: cost.widest)
    let couplingWorkspace = a.workspaceBytes(vectors: wideVectors)
    // Row-major copies of states: the block's input, one prompt's, and two layers in double precision.
    let copies = n * width * (3 * MemoryLayout<Scalar>.stride + 16)
    // What the Jacobians of a batch hold while they are solved, beside what their linearization keeps; those of other batches hold
    // the triplets beyond the requested ones until the block is finished.
    let bases = cost.basisBytes / layout.slices
    let solves =
      atOnce * bases + solveWorkspace
      + (r * together - batch) * cost.further * 2 * vectorBytes
      + layout.gatheredBytes(batch * cost.widest * vectorBytes)
    // A Jacobian's bases have been freed before it is compared with the sample's, and a block's evaluation before its Jacobians are
    // solved. Of blocks that are solved together each has its input, and the sample's; threads that have no more to solve evaluate
    // those after them.
    let besides = together > 1 ? max(bases, sample.comparison) : bases
    let comparing =
      solveWorkspace + max(0, sample.fused - a.fusedBytes) + (atOnce - 1) * besides
      + sample.comparison
    let reached = min(
      blocks,
      together
        + SolvePass.blocksAhead(
          ofTogether: together, isDivided: isApart, tokens: n, resolved))
    let points = (reached - 1) * (n * width * MemoryLayout<Scalar>.stride + sample.held)
    let walkingAhead =
      reached == together
      ? 0
      : solveWorkspace
        + max(
          (atOnce - 1) * besides + max(evaluation, sample.evaluation),
          max(0, atOnce - 2) * besides + evaluation + sample.evaluation)
    let solving =
      copies + sample.held + points
      + max(solves, evaluation, sample.evaluation, comparing, walkingAhead)
    let kept = KeptPath.bytes(
      prompts.map { d.tokenCount(of: $0) }, width: width, layers: d.layers, all: saveHiddenStates)
    // Values, their row-major copy, and what the product with the head needs.
    let logits =
      3 * min(prompts.count, HiddenStates<Scalar>.promptsAtHead(of: model)) * d.vocabulary
      * MemoryLayout<Scalar>.stride
    // The norms, and two numbers per point of two pictures.
    let recording =
      max(kept.pictures, logits) + n * (5 * d.layers + 8) * ResultCost.encodedNumber + copies / 2
    // The bases and their images; then a product's own input and output, except for a single row whose vectors fit into
    // one product.
    let apart = batch == 1 && chunkVectors <= wideVectors ? 0 : 3 * wideVectors
    // Each with the Gram matrix of its images.
    let couplings = r * resolved.mostBases * resolved.forms.count * 2 * (k * k * 8 + 60)
    let coupling =
      atOnce * (couplingWorkspace + batch * vectorBytes * (5 * chunkVectors / 2 + apart))
      + together * couplings + resolved.mostBases * k * k * 8
    let triplets = r * blocks * resolved.top * 2 * vectorBytes
    let linearizations = blocks * (saved + batches.count * Self.linearizationObjects)
    // A unit being written to the journal: the writer's buffer grows as it fills.
    let unit = min(2 << 20, max(2 * r * resolved.top * 2 * vectorBytes, couplings))
    var parts = [Part(name: "the program, vocabulary and norms", bytes: program + Self.buffers)]
    if layout.processes > 1, !layout.isRunning {
      parts.append(Part(name: "MPI", bytes: ProcessLayout.libraryBytes))
    }
    // At the last block that is solved, some of the states have not been reached.
    let solved = (resolved.layers.last ?? d.layers) + 1
    let passes = [
      (solving, kept.states / (d.layers + 1) * solved, "the solver, or the forward pass"),
      (copies + evaluation, kept.states, "the forward pass after the solves"),
      (recording, kept.states, "the path pictures"), (coupling, 0, "the coupling pass"),
    ]
    let (work, walked, name) = passes.max { $0.0 + $0.1 < $1.0 + $1.1 }!
    let writing = results.perRun + results.perPrompt
    if writing > linearizations + triplets + work + walked + unit {
      parts += [
        Part(name: "names of arrays, and means of all prompts", bytes: results.perRun),
        Part(name: "results of one prompt while they are written", bytes: results.perPrompt),
      ]
    } else {
      parts += [
        Part(name: "linearizations (\(blocks) blocks)", bytes: linearizations),
        Part(name: "triplets", bytes: triplets),
        Part(name: "hidden states of all layers", bytes: walked),
        Part(name: "a unit being written", bytes: unit),
        Part(name: name, bytes: work),
      ].filter { $0.bytes > 0 }
    }
    let sum = parts.reduce(0) { $0 + $1.bytes }
    if opening > sum {
      parts = [
        parts[0],
        Part(name: "opening the model and its vocabulary", bytes: opening - parts[0].bytes),
      ]
    }
    privateParts = parts
    let sizes = (0..<d.layers).map { model.bytes(ofBlock: $0, tokens: n) }
    // Of every block, the slice that products read; what else is in it is small, or experts for further tokens.
    let measured = min(2, d.layers) - 1
    let share =
      layout.slices == 1
      ? 1 : Double(a.weightBytes) / Double(max(1, model.bytes(ofBlock: measured, tokens: batch)))
    weightBytes = a.weightBytes
    let largestBlocks =
      (0...max(0, sizes.count - together)).map { first in
        sizes[first...].prefix(together).reduce(0, +)
      }.max() ?? 0
    let weights = max(Int(share * Double(largestBlocks)), model.headBytes)
    // While a block is in use the next one is read, or the head, but not the next slice.
    let pair =
      layout.slices == 1
      ? zip(sizes, sizes.dropFirst() + [model.headBytes]).map(+).max() ?? 0 : 0
    readAhead = max(0, pair - weights)
    mappedParts = [
      Part(name: "program files", bytes: residentFiles + Self.laterFiles),
      Part(name: "weights of what is used next, if there is room", bytes: readAhead),
      Part(name: "weights: the largest block, or the head", bytes: weights),
    ].filter { $0.bytes > 0 }
    solvePasses = blocks * cost.passes * batches.count
    otherPasses = d.layers + blocks * (batches.count + couplingCalls)
    let products = ProductTraffic(
      sums: sums, rows: batch, width: width, scalarBytes: MemoryLayout<Scalar>.stride,
      members: layout.slices)
    traffic = GroupTraffic(
      products: products, cost: cost, batches: batches.count,
      walking: d.layers * (walking + sample.passingTraffic), comparing: sample.comparingTraffic,
      coupling: couplingCalls * products.product(vectors: wideVectors))
    time = TeamTime(
      // The sample does not pass the last block.
      passing: Double(d.layers) * (times.last ?? 0) + Double(d.layers - 1) * sample.passing
        + layout.seconds(of: traffic.walking),
      unit: sample.comparing + Double(cost.passes * batches.count) * one
        + Double(couplingCalls) * wide + layout.seconds(of: traffic.unit),
      blocks: blocks)
    self.layout = layout
  }

  /// Memory for stacks, and for what a run holds besides numbers.
  private static let buffers = 1 << 20
  /// What a linearization takes besides the numbers it keeps: the objects of its steps. Not derived: 768 and 1920 linearizations of a
  /// small model took 10 and 9 KB each more than was counted.
  private static let linearizationObjects = 9 << 10
  /// The program's own pages that are first used after a plan, and the pages of results being written.
  private static let laterFiles = 4 << 20

  /// The Jacobian with the largest workspace and fused maps, which depend on the number of tokens that it sees: of sixteen evenly
  /// spaced ones.
  private static func largest<Scalar: RealScalar>(
    of group: PromptGroup, _ model: some Transformer, _ point: BlockPoint<Scalar>,
    _ resolved: ResolvedSettings
  ) -> Int {
    let step = max(1, group.jacobians.count / 16)
    let sizes = stride(from: group.jacobians.count - 1, through: 0, by: -step).map { i in
      let jacobian = group.jacobians[i]
      let a = residualJacobian(
        model, at: point, [(jacobian.prompt, jacobian.tokens)], site: resolved.site)
      return (i, a.workspaceBytes(vectors: 1))
    }
    return sizes.max { $0.1 < $1.1 }!.0
  }

  /// The number of products that `seconds` applies.
  private static let timedProducts = 4

  /// The best of three timed products, forward or backward.
  static func seconds<Scalar: RealScalar>(
    of a: Linearization<Scalar>, rows: Int, vectors b: Int
  ) -> Double {
    let (rows, all) = (a.rows, Array(0..<rows))
    let v = [Double](repeating: 1, count: b * a.inputDimension)
    var y = [Double](repeating: 0, count: b * a.outputDimension)
    var best = Double.infinity
    for i in 0..<timedProducts {
      let start = monotonicSeconds()
      var span = y.mutableSpan
      if i % 2 == 0 {
        rows.apply(v.span, into: &span, vectors: b, active: all)
      } else {
        rows.applyAdjoint(v.span, into: &span, vectors: b, active: all)
      }
      if i > 0 { best = min(best, monotonicSeconds() - start) }
    }
    return best
  }
}
