import Autodiff
import Checkpoint
import Lanczos
import LinearAlgebra
import Model

/// What a run will cost, predicted without computing any Jacobian: memory by part, passes, a range of seconds.
///
/// The first blocks are passed and linearized as in the run, which tells what values and workspaces take, and a few
/// products are timed. The rest is counting; passes come from `SolverCost`.
public struct RunPlan: Sendable {
  /// One line of the memory's account.
  public struct Part: Sendable, Codable {
    /// What it is.
    public let name: String
    /// Bytes.
    public let bytes: Int
  }

  /// Anonymous memory at its peak, by part.
  public let privateParts: [Part]
  /// Pages of the model's file in memory at the peak, and of the program's own files.
  public let mappedParts: [Part]
  /// Readings of every linearized block's weights by the solves.
  public let solvePasses: Int
  /// Readings by forward pass, linearization and coupling.
  public let otherPasses: Int
  /// Wall-clock seconds of the largest group of prompts, from best to worst.
  public let seconds: ClosedRange<Double>
  /// Groups that the prompts go in.
  public internal(set) var groups = 1
  /// The work of all groups, in units of the largest one's.
  var relativeWork = 1.0

  /// Wall-clock seconds of all groups.
  public var totalSeconds: ClosedRange<Double> {
    seconds.lowerBound * relativeWork...seconds.upperBound * relativeWork
  }

  /// Predicted `peak_private_bytes`.
  public var peakPrivateBytes: Int { privateParts.reduce(0) { $0 + $1.bytes } }
  /// Predicted `peak_memory_bytes`.
  public var peakMemoryBytes: Int { peakPrivateBytes + mappedParts.reduce(0) { $0 + $1.bytes } }

  /// Throws `RunError.badOption` when the prediction exceeds `--max-memory`.
  public func requireWithin(_ limit: Int?) throws(RunError) {
    guard let limit, peakMemoryBytes > limit else { return }
    let largest = (privateParts + mappedParts).max { $0.bytes < $1.bytes }
    throw .badOption(
      option: "--max-memory", value: spokenBytes(limit),
      reason: "the run is predicted to need \(spokenBytes(peakMemoryBytes)), the most for "
        + "\(largest?.name ?? "weights"); allow more, or lower --top or --ranks, run fewer prompts "
        + "at a time, or --solver block instead of dense")
  }

  init(
    _ model: some Transformer, _ prompts: [ModelInput], _ group: PromptGroup, plan: SolvePlan,
    saveHiddenStates: Bool
  ) throws {
    let d = model.description
    let (width, n) = (d.width, prompts.reduce(0) { $0 + d.tokenCount(of: $1) })
    let (r, blocks) = (group.problems.count, plan.layers.count)
    let largest = group.batches.max { $0.count < $1.count }!
    let program = MemoryMeter.privateBytes
    let residentFiles = max(0, MemoryMeter.residentBytes - program)

    // Two blocks as in the run: the first pays for cold pages, the second tells the time.
    let valuesBefore = ValueMemory.liveBytes
    ValueMemory.resetPeak()
    var states = try HiddenStates<Float>(inputs: prompts, in: model)
    var times: [Double] = []
    var saved = 0
    var evaluation = 0
    var jacobian: Linearization<Float>?
    for l in 0..<min(2, d.layers) {
      let start = monotonicSeconds()
      let point = try states.advance(through: model)
      evaluation = ValueMemory.peakBytes - valuesBefore
      let live = ValueMemory.liveBytes
      jacobian = residualJacobian(
        model, at: point, group.problems[largest].map { ($0.prompt, $0.tokens) }, site: plan.site)
      // The caches of keys and values stay with the linearization; the states of the point do not.
      let values = (ValueMemory.liveBytes - live) * r / largest.count
      saved = max(saved, values + point.cacheBytes)
      times.append(monotonicSeconds() - start)
      model.advise(.dontNeed, block: l)
    }
    let a = jacobian!
    let cost = SolverCost(plan.solver, width: width, count: plan.top, problems: largest.count)
    let k = plan.ranks.max()!
    let vectorBytes = width * MemoryLayout<Double>.stride

    // Products at the widths of the run.
    let batch = largest.count
    let one = Self.seconds(of: a, rows: batch, vectors: cost.vectors)
    let couplingVectors = 2 * plan.mostBases * k
    let wideVectors = min(max(8, CouplingPass.width / batch), couplingVectors)
    let wide = Self.seconds(of: a, rows: batch, vectors: wideVectors)
    a.releaseWorkspace()

    let couplingCalls =
      ((couplingVectors + wideVectors - 1) / wideVectors + 1) * group.batches.count
    let solveWorkspace = a.workspaceBytes(vectors: cost.widest)
    let couplingWorkspace = a.workspaceBytes(vectors: wideVectors)
    // Row-major copies of states: the block's input, one prompt's, and two layers in double precision.
    let copies = n * width * (4 + 4 + 4 + 16)
    // A block's own evaluation is over when its Jacobians are solved.
    let solving = max(cost.basisBytes + solveWorkspace, evaluation)
    let coupling =
      couplingWorkspace + batch * vectorBytes * (2 * (wideVectors + k) + 3 * wideVectors)
      + r * plan.mostBases * 2 * k * k * 8
    let solves = solving + copies
    var parts = [
      Part(name: "the program, vocabulary and norms", bytes: program + (2 << 20)),
      Part(
        name: "linearizations (\(blocks) blocks)", bytes: blocks * saved),
      Part(name: "triplets", bytes: r * blocks * plan.top * 2 * vectorBytes),
    ]
    if saveHiddenStates {
      parts.append(Part(name: "saved hidden states", bytes: (d.layers + 1) * n * width * 4))
    }
    if solves > coupling {
      parts += [
        Part(name: "hidden states", bytes: copies),
        Part(name: "bases of the solver", bytes: cost.basisBytes),
        Part(
          name: "workspace of products, or of the forward pass",
          bytes: solving - cost.basisBytes),
      ]
    } else {
      parts += [
        Part(name: "hidden states", bytes: n * width * 8),
        Part(name: "bases and images of the coupling pass", bytes: coupling - couplingWorkspace),
        Part(name: "workspace of products", bytes: couplingWorkspace),
      ]
    }
    privateParts = parts
    let sizes = (0..<d.layers).map { model.bytes(ofBlock: $0) }
    mappedParts = [
      Part(name: "program files", bytes: residentFiles),
      Part(
        name: "weights: the largest block, or the head",
        bytes: max(sizes.max() ?? 0, model.headBytes)),
    ]
    solvePasses = blocks * cost.passes * group.batches.count
    otherPasses = d.layers + blocks * (group.batches.count + couplingCalls)
    let perBlock = times.last ?? 0
    let total =
      Double(d.layers) * perBlock
      + Double(blocks)
      * (Double(cost.passes * group.batches.count) * one + Double(couplingCalls) * wide)
    seconds = 0.6 * total...1.8 * total + 0.5
  }

  /// The best of three timed products, forward and back in turn.
  private static func seconds(of a: Linearization<Float>, rows: Int, vectors b: Int) -> Double {
    let v = [Double](repeating: 1, count: b * a.inputDimension)
    var y = [Double](repeating: 0, count: b * a.outputDimension)
    var best = Double.infinity
    for i in 0..<4 {
      let start = monotonicSeconds()
      var span = y.mutableSpan
      if i % 2 == 0 {
        a.applyRows(v.span, into: &span, vectors: b)
      } else {
        a.applyRowsAdjoint(v.span, into: &span, vectors: b)
      }
      if i > 0 { best = min(best, monotonicSeconds() - start) }
    }
    return best
  }
}
