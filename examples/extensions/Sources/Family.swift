import Autodiff
import Checkpoint
import LinearAlgebra
import Model
import Weights

extension FamilyDefinition {
  /// A family in one screen: blocks of one attention head and a GELU MLP, each after a norm without gain; no positions.
  static let sketch = FamilyDefinition("sketch") { try Sketch($0) }
}

struct Sketch: Transformer {
  let description: ModelDescription
  let source: any TensorSource
  private let embedding: StoredMatrix
  private let blocks: [[String: LinearWeights]]

  init(_ file: ModelFile) throws {
    let c = file.configuration
    let (layers, width) = (try c.size("num_hidden_layers"), try c.size("hidden_size"))
    let (inner, vocabulary) = (try c.size("intermediate_size"), try c.size("vocab_size"))
    try c.refuseUnread()
    let weights = WeightReader(file.tensors, prefix: "", alternatives: [], probe: "embed.weight")
    embedding = try weights.matrix("embed.weight", rows: vocabulary, columns: width)
    let shapes = [
      "q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width),
      "up": (inner, width), "down": (width, inner),
    ]
    blocks = try (0..<layers).map { l in
      try Dictionary(
        uniqueKeysWithValues: shapes.map { name, shape in
          let (outputs, inputs) = shape
          let linear = try weights.linear(
            "layers.\(l).\(name)", outputs: outputs, inputs: inputs, bias: false)
          return (name, linear)
        })
    }
    source = file.tensors
    description = ModelDescription(
      of: file, layers: layers, width: width, vocabulary: vocabulary, heads: 1, keyValueHeads: 1,
      feedForwardWidth: inner)
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> { try embedding.embed(input.tokens) }

  func block(_ index: Int) -> any ResidualBlock {
    SketchBlock(weights: blocks[index], width: description.width)
  }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { normalized(x) }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? { x.linear(embedding) }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: ["layers."]) == index }
  }
}

private struct SketchBlock: ResidualBlock {
  let weights: [String: LinearWeights]
  let width: Int

  func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let h = x.map(normalized)
    let attended = context.attend(
      queries: weights["q"]!(h.target), keys: weights["k"]!(h.source),
      values: weights["v"]!(h.source),
      settings: AttentionSettings(
        heads: 1, keyValueHeads: 1, headDimension: width, scale: 1 / Double(width).squareRoot()))
    return weights["o"]!(attended)
  }

  func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S> {
    weights["down"]!(weights["up"]!(normalized(z)).activated(by: .gelu))
  }
}

private func normalized<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
  x.rmsNorm(gain: nil, epsilon: 1e-6)
}
