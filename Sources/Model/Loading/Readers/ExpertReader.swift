import Autodiff
import Checkpoint
import LinearAlgebra
import Weights

/// The layout of a block's experts in a file.
///
/// Every expert may have tensors of its own, `prefix.7.gate.weight`, as in published checkpoints; there may be one
/// tensor of all experts for each matrix, `prefix.gate.weight`, as in GGUF; or one for gate and up and one for down,
/// as in recent implementations.
public struct ExpertLayout: Sendable {
  /// The prefix of all names.
  public var prefix: String
  /// The names of an expert's matrices.
  public var parts: (gate: String, up: String, down: String)
  /// The names, after the prefix, of the tensors that contain all experts' gates and ups, and all their downs.
  public var stacks: (gateAndUp: String, down: String)
  /// Whether these two tensors store matrices as (inputs, outputs).
  public var isTransposed: Bool
  /// Whether gate and up alternate among the outputs, instead of all gates preceding all ups.
  public var alternates: Bool
  /// Whether stacked experts have biases.
  public var bias: Bool

  /// Creates a layout from its properties.
  public init(
    prefix: String = "mlp.experts",
    parts: (gate: String, up: String, down: String) = ("gate_proj", "up_proj", "down_proj"),
    stacks: (gateAndUp: String, down: String) = (".gate_up_proj", ".down_proj"),
    isTransposed: Bool = false, alternates: Bool = false, bias: Bool = false
  ) {
    (self.prefix, self.parts, self.stacks) = (prefix, parts, stacks)
    (self.isTransposed, self.alternates, self.bias) = (isTransposed, alternates, bias)
  }
}

extension DecoderReader {
  /// The experts of a block, each read in place when a token has chosen it; nothing is copied.
  ///
  /// If gate and up are in one transposed matrix, one product computes both, and they are then separated: this copies
  /// 2 · width numbers per vector, against a product of that many times the width of the stream.
  public func experts(
    _ count: Int, width inner: Int, _ layout: ExpertLayout = ExpertLayout(),
    gating: MLPWeights.Gating = .product
  ) throws -> ExpertMixture.Experts {
    let activation = settings.activation
    let ((gateAndUp, down), tensors) = try weights.recording {
      try expertParts(count, inner, layout)
    }
    return ExpertMixture.Experts(tensors: tensors) { e in
      MLPWeights(gateAndUp(e), down: down(e), activation: activation, gating: gating)
    }
  }

  /// The mixture made of `mlp.gate`, `mlp.experts` and, if it has a width, `mlp.shared_experts`.
  public func mixture(
    of count: Int, width inner: Int, _ routing: ExpertRouting, shared: Int? = nil
  ) throws -> ExpertMixture {
    ExpertMixture(
      router: try weights.linear("mlp.gate", outputs: count, inputs: settings.width, bias: false),
      routing: routing, experts: try experts(count, width: inner),
      shared: try shared.map { try mlp("mlp.shared_experts", width: $0) })
  }

  private typealias Parts = (
    @Sendable (Int) -> MLPWeights.Inner, down: @Sendable (Int) -> LinearWeights
  )

  private func expertParts(
    _ count: Int, _ inner: Int, _ layout: ExpertLayout
  ) throws -> Parts {
    let (prefix, width) = (layout.prefix, settings.width)
    if weights.contains(prefix + layout.stacks.gateAndUp) {
      return try expertStacks(count, inner, layout)
    }
    let (gate, up, down) = layout.parts
    if weights.contains("\(prefix).\(gate).weight") {
      let stack = { (name: String, outputs: Int, inputs: Int) in
        try expertStack(
          "\(prefix).\(name).weight", bias: layout.bias ? "\(prefix).\(name).bias" : nil, count,
          outputs: outputs, inputs: inputs)
      }
      let (gates, ups) = (try stack(gate, inner, width), try stack(up, inner, width))
      return ({ .gated(gate: gates($0), up: ups($0)) }, try stack(down, width, inner))
    }
    // If no layout matches, the error should name what is missing.
    if weights.contains(prefix + layout.stacks.down) {
      return try expertStacks(count, inner, layout)
    }
    // One by one, so that a file that lies about their number does not make us allocate for all of them.
    var (gates, ups, downs): ([LinearWeights], [LinearWeights], [LinearWeights]) = ([], [], [])
    for e in 0..<count {
      let part = { (name: String, outputs: Int, inputs: Int) in
        try weights.linear(
          "\(prefix).\(e).\(name)", outputs: outputs, inputs: inputs, bias: false)
      }
      gates.append(try part(gate, inner, width))
      ups.append(try part(up, inner, width))
      downs.append(try part(down, width, inner))
    }
    return ({ [gates, ups] in .gated(gate: gates[$0], up: ups[$0]) }, { [downs] in downs[$0] })
  }

  /// The gates and ups of all experts, from one tensor.
  private func expertStacks(
    _ count: Int, _ inner: Int, _ layout: ExpertLayout
  ) throws -> Parts {
    let stack = { (name: String, outputs: Int, inputs: Int) in
      try expertStack(
        name, bias: layout.bias ? name + "_bias" : nil, count, outputs: outputs, inputs: inputs,
        isTransposed: layout.isTransposed)
    }
    let both = try stack(layout.prefix + layout.stacks.gateAndUp, 2 * inner, settings.width)
    let down = try stack(layout.prefix + layout.stacks.down, settings.width, inner)
    guard layout.isTransposed || layout.alternates else {
      return (
        { e in
          let both = both(e)
          return .gated(gate: both.outputs(0..<inner), up: both.outputs(inner..<2 * inner))
        }, down
      )
    }
    let step = layout.alternates ? 2 : 1
    let gate = (0..<inner).map { step * $0 }
    let up = gate.map { $0 + (layout.alternates ? 1 : inner) }
    return ({ .fused(both($0), gate: gate, up: up) }, down)
  }

  /// The matrices of all experts, from one tensor.
  private func expertStack(
    _ name: String, bias: String?, _ count: Int, outputs: Int, inputs: Int,
    isTransposed: Bool = false
  ) throws -> @Sendable (Int) -> LinearWeights {
    let (rows, columns) = isTransposed ? (inputs, outputs) : (outputs, inputs)
    let matrices = try weights.matrices(name, count: count, rows: rows, columns: columns)
    let biases = try bias.map { try weights.matrix($0, rows: count, columns: outputs) }
    return { e in
      LinearWeights(weights: matrices[e], bias: biases?.row(e), transposed: isTransposed)
    }
  }
}

// MARK: Mixtral's names

extension DecoderReader {
  /// The prefix: `block_sparse_moe` as published, `mlp` in the current reference implementation.
  var mixtralPrefix: String {
    ["gate.weight", "router.weight", "experts.gate_up_proj"].contains {
      weights.contains("mlp." + $0)
    } ? "mlp" : "block_sparse_moe"
  }

  /// The layout of the experts' w1, w3 and w2.
  var mixtralExperts: ExpertLayout {
    ExpertLayout(prefix: mixtralPrefix + ".experts", parts: ("w1", "w3", "w2"))
  }

  /// The router, named `gate` or, in some implementations, `router`.
  func mixtralRouter(_ count: Int) throws -> LinearWeights {
    let names = ["gate", "router"].map { "\(mixtralPrefix).\($0)" }
    let name = names.first { weights.contains($0 + ".weight") } ?? names[0]
    return try weights.linear(name, outputs: count, inputs: settings.width, bias: false)
  }
}
