import Autodiff
import LinearAlgebra
import Model
import Processes

/// The cost of evaluating a group's sample in another precision and of comparing it, measured at the first two blocks.
struct SampleCost {
  /// Bytes of its states and of its point before a block.
  private(set) var held = 0
  /// Bytes of a block's evaluation.
  private(set) var evaluation = 0
  /// Bytes of its linearization, and of products with a few vectors.
  private(set) var comparison = 0
  /// Bytes of the fused maps of a truncated prompt, which is compared in place of a solved one.
  private(set) var fused = 0
  /// Seconds to evaluate a block.
  private(set) var passing = 0.0
  /// Seconds to linearize a block and apply the products.
  private(set) var comparing = 0.0
  /// What both hand to the other members of a team.
  private(set) var passingTraffic = Traffic()
  private(set) var comparingTraffic = Traffic()

  /// The number of vectors in the comparison, with their products on both sides.
  private static let vectors = 6

  /// Measures the cost in the precision `Twin`, for a run in the other precision.
  init<Twin: RealScalar>(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    _ resolved: ResolvedSettings, as precision: Twin.Type, in team: any Communicator
  ) throws {
    let d = model.description
    let (_, input, isCut) = NoiseSample<Float, Double>.choice(inputs, d)
    var states = try HiddenStates<Twin>(inputs: [input], in: model)
    let tokens = d.tokenCount(of: input)
    let stride = MemoryLayout<Twin>.stride
    // The sample's states and the copy at a point; for a truncated prompt both again in the other precision.
    let copies = tokens * d.width * 2 * (isCut ? 12 : stride)
    for l in 0..<min(2, d.layers) {
      let (start, sent) = (monotonicSeconds(), team.traffic)
      let before = ValueMemory.liveBytes
      ValueMemory.resetPeak()
      let point = try states.advance(through: model)
      evaluation = max(evaluation, ValueMemory.peakBytes - before)
      held = max(held, copies + point.cacheBytes)
      let (middle, passed) = (monotonicSeconds(), team.traffic)
      let live = ValueMemory.liveBytes
      let jacobian = residualJacobian(
        model, at: point, [(0, TokenSelection(tokens - 1))], site: resolved.site)
      let products = CostEstimate.seconds(of: jacobian, rows: 1, vectors: Self.vectors)
      comparison = max(
        comparison,
        ValueMemory.liveBytes - live + jacobian.workspaceBytes(vectors: Self.vectors)
          + 8 * Self.vectors * d.width * MemoryLayout<Double>.stride)
      passing = middle - start
      comparing = monotonicSeconds() - middle - 2 * products
      (passingTraffic, comparingTraffic) = (passed - sent, team.traffic - passed)
      if isCut { fused = max(fused, try Self.fusedBytes(model, input, before: l, resolved)) }
      model.releasePages(ofBlock: l)
    }
  }

  /// The bytes of fused maps at a block, in single precision.
  private static func fusedBytes(
    _ model: some Transformer, _ input: ModelInput, before layer: Int, _ resolved: ResolvedSettings
  ) throws -> Int {
    var states = try HiddenStates<Float>(inputs: [input], in: model)
    var point = try states.advance(through: model)
    for _ in 0..<layer { point = try states.advance(through: model) }
    let last = TokenSelection(model.description.tokenCount(of: input) - 1)
    return residualJacobian(model, at: point, [(0, last)], site: resolved.site).fusedBytes
  }
}
