import Autodiff
import Lanczos
import LinearAlgebra
import Model
import Weights

/// The peak memory of `krylens eigen`: the first block, or the span, is evaluated and linearized as in the run; the rest is
/// counted.
struct EigenCost {
  /// Anonymous bytes and touched pages of files.
  let bytes: Int

  /// The cost on the longest prompt.
  init(_ model: some Transformer, _ input: ModelInput, _ settings: EigenSettings) throws {
    let (d, numeric) = (model.description, settings.numeric)
    let resident = MemoryMeter.residentBytes
    let before = ValueMemory.liveBytes
    ValueMemory.resetPeak()
    let jacobian: Linearization<Float>
    if settings.isSpan {
      jacobian = try linearize(settings.span(in: d.layers), of: [input], in: model)
    } else {
      var states = try HiddenStates<Float>(inputs: [input], in: model)
      let point = try states.advance(through: model)
      jacobian = residualJacobian(model, at: point, [(0, TokenSelection(0))])
    }
    let n = jacobian.inputDimension
    let evaluation = ValueMemory.peakBytes - before
    let saved = ValueMemory.liveBytes - before
    let vectors = Engine.independentVectors
    let isDense = numeric.solver.chosen(for: numeric.top, width: n) == .dense
    let basis =
      isDense ? 5 * n * n : (ARPACKEigensolver.dimension(for: numeric.top) + 3 * numeric.top) * n
    // The products and probes of the departure, and copies of them in single precision.
    let probes = 10 * vectors * n
    let blocks = (0..<d.layers).map { model.bytes(ofBlock: $0, tokens: d.tokenCount(of: input)) }
    bytes =
      resident + max(evaluation, jacobian.workspaceBytes(vectors: vectors))
      + (max(basis, probes) + probes) * MemoryLayout<Double>.stride
      + (numeric.exponents ? d.layers : 1) * saved + (blocks.max() ?? 0) + Self.margin
    model.releasePages(ofBlock: 0)
  }

  /// Pages of the program that are first used later, buffers and results.
  private static let margin = 8 << 20
}
