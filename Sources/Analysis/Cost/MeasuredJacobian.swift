import Autodiff
import Checkpoint
import LinearAlgebra
import Model
import Weights

/// The residual Jacobian of one block at the last token, linearized for a measurement.
struct MeasuredJacobian {
  /// The operator.
  let map: Linearization<Float>
  /// The seconds that the linearization took, without reaching the block.
  let seconds: Double

  /// Evaluates these tokens up to the input of block `layer` (from 1). An encoder reads the same tokens; an image model is given
  /// noise. Throws what the forward pass throws, and `RunError.badSetting` for a block the model does not have.
  init(_ model: some Transformer, layer: Int, tokens: [Int], seed: UInt64) throws {
    let d = model.description
    guard (1...d.layers).contains(layer) else {
      throw RunError.badSetting(
        .layer, value: "\(layer)", reason: "the model has the blocks 1 to \(d.layers)")
    }
    let input: ModelInput
    switch d.input {
    case .tokens: input = .tokens(tokens)
    case .decoder: input = .decoder(tokens, encoder: tokens)
    case .image(let channels, let height, let width):
      var random = SeededGenerator(seed: seed)
      let values = (0..<channels * height * width).map { _ in Float(random.normal()) }
      input = .image(
        PixelValues(channels: channels, height: height, width: width, values: values))
    }
    var states = try HiddenStates<Float>(inputs: [input], in: model)
    var point = try states.advance(through: model)
    for l in 1..<layer {
      model.releasePages(ofBlock: l - 1)
      point = try states.advance(through: model)
    }
    let start = monotonicSeconds()
    let selection = TokenSelection(d.tokenCount(of: input) - 1)
    map = residualJacobian(model, at: point, [(prompt: 0, tokens: selection)])
    seconds = monotonicSeconds() - start
  }
}

/// Products of one residual Jacobian with several vectors at once, timed one after another.
public final class ProductMeasurement {
  private let engine: Engine
  private let map: Linearization<Float>
  private let vectors: Int
  private let input: Matrix<Double>
  private var output: [Double]

  /// Opens the model and evaluates these tokens up to block `layer` (from 1). Throws what opening and the forward pass throw,
  /// and `RunError.badSetting`.
  public init(
    model path: String, layer: Int, tokens: [Int], vectors: Int, seed: UInt64, threads: Int
  ) throws {
    engine = Engine(threads: threads)
    map = try engine.use {
      let model = try loadTransformer(try CheckpointDirectory(opening: path))
      try BLAS.checkAddressSpace(threads: threads)
      return try MeasuredJacobian(model, layer: layer, tokens: tokens, seed: seed).map
    }
    self.vectors = vectors
    var random = SeededGenerator(seed: seed)
    input = random.normalMatrix(rows: vectors, columns: map.inputDimension)
    output = Array(repeating: 0, count: vectors * map.outputDimension)
  }

  /// The seconds of one product J V.
  public func seconds() -> Double {
    engine.use {
      let start = monotonicSeconds()
      multiply(into: &output)
      return monotonicSeconds() - start
    }
  }

  private func multiply(into y: inout [Double]) {
    var span = y.mutableSpan
    let v = input  // a span lives as long as a local value
    map.apply(v.elements.span, into: &span, vectors: vectors)
  }
}
