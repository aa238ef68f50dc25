import Autodiff
import LinearAlgebra
import Model

/// What it costs to follow a group's sample in another precision and to compare it, measured at the first two blocks.
struct SampleCost {
  /// Bytes of its states, and of where it stands in front of a block.
  private(set) var held = 0
  /// Bytes of a block's evaluation.
  private(set) var evaluation = 0
  /// Bytes of its linearization, and of products with a few vectors.
  private(set) var comparison = 0
  /// Seconds of passing a block.
  private(set) var passing = 0.0
  /// Seconds of linearizing there and of the products.
  private(set) var comparing = 0.0

  /// Vectors of the comparison, and bytes of those and of their products on both sides.
  private static let vectors = 6

  /// In the precision `Twin`, of a run in the other one.
  init<Twin: RealScalar>(
    _ model: some Transformer, _ inputs: [ModelInput], _ group: PromptGroup,
    _ resolved: ResolvedSettings, as precision: Twin.Type
  ) throws {
    let d = model.description
    let (_, input, isCut) = NoiseSample<Float, Double>.choice(inputs, d)
    var states = try HiddenStates<Twin>(inputs: [input], in: model)
    let tokens = d.tokenCount(of: input)
    let stride = MemoryLayout<Twin>.stride
    // Its variable, and the copy at a point; of a cut prompt both again in the other precision.
    let copies = tokens * d.width * 2 * (isCut ? 12 : stride)
    for l in 0..<min(2, d.layers) {
      let start = monotonicSeconds()
      let before = ValueMemory.liveBytes
      ValueMemory.resetPeak()
      let point = try states.advance(through: model)
      evaluation = max(evaluation, ValueMemory.peakBytes - before)
      held = max(held, copies + point.cacheBytes)
      let middle = monotonicSeconds()
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
      model.advise(.dontNeed, block: l)
    }
  }
}
