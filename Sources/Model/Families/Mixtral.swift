import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// Mixtral: a block of Mistral whose MLP is a mixture of some of its experts: X ↦ Z = X + attention(norm X),
  /// F = Z + Σₑ wₑ(norm Z) expertₑ(norm Z), w the soft-max of the router over the experts a token chooses.
  ///
  /// The choice is held constant, as it is near almost every point; the weights w are differentiated.
  /// Jiang et al., arXiv 2401.04088.
  public static let mixtral = FamilyDefinition(
    "mixtral",
    residual: "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z), Z = X + attention(norm X)",
    gguf: .mixtral
  ) { try GatedDecoder(mixtral: $0) }
}

extension GatedDecoder {
  fileprivate init(mixtral file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(
      c,
      .init(
        feedForwardWidth: 14336, keyValueHeads: 8, positions: 131_072, epsilon: 1e-5,
        theta: 1_000_000))
    let experts = try c.size("num_local_experts", "num_experts", default: 8)
    let chosen = try c.size("num_experts_per_tok", default: 2)
    try c.check(
      chosen <= experts, "num_experts_per_tok", "is more than the \(experts) experts there are")
    let window = try c.optionalSize("sliding_window")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note:
        "the choice of \(chosen) of \(experts) experts is held constant, their weights w are not"
    ) { block, _ in
      try block.withNormsBefore(
        block.attention(window: window), block.mixture(experts: experts, chosen: chosen))
    }
  }
}

extension DecoderReader {
  /// `block_sparse_moe` with the experts' w1, w3, w2, as published and in the first GGUF files; or `mlp` with all experts in one tensor, as the
  /// reference implementation holds them.
  fileprivate func mixture(experts: Int, chosen: Int) throws -> ExpertMixture {
    let s = settings
    if weights.contains("block_sparse_moe.experts.w1.weight") {
      return try stackedMixture(experts: experts, chosen: chosen)
    }
    let (published, stacked) = ("block_sparse_moe.", "mlp.")
    let isStacked = ["gate.weight", "experts.down_proj"].contains { weights.contains(stacked + $0) }
    let router = try weights.matrix(
      (isStacked ? stacked : published) + "gate.weight", rows: experts, columns: s.width)
    guard isStacked else {
      var mlps: [MLPWeights] = []
      for e in 0..<experts {
        let part = { (name: String, outputs: Int, inputs: Int) in
          try weights.linear(
            "\(published)experts.\(e).\(name)", outputs: outputs, inputs: inputs, bias: false)
        }
        mlps.append(
          MLPWeights(
            gate: try part("w1", s.feedForwardWidth, s.width),
            up: try part("w3", s.feedForwardWidth, s.width),
            down: try part("w2", s.width, s.feedForwardWidth), activation: s.activation))
      }
      return ExpertMixture(router: router, experts: mlps, chosen: chosen)
    }
    let gateAndUp = try weights.matrices(
      stacked + "experts.gate_up_proj", count: experts, rows: 2 * s.feedForwardWidth,
      columns: s.width)
    let down = try weights.matrices(
      stacked + "experts.down_proj", count: experts, rows: s.width, columns: s.feedForwardWidth)
    let mlps = zip(gateAndUp, down).map { both, down in
      MLPWeights(
        gate: LinearWeights(weights: both.rows(0..<s.feedForwardWidth)),
        up: LinearWeights(weights: both.rows(s.feedForwardWidth..<2 * s.feedForwardWidth)),
        down: LinearWeights(weights: down), activation: s.activation)
    }
    return ExpertMixture(router: router, experts: mlps, chosen: chosen)
  }
}

extension DecoderReader {
  /// `block_sparse_moe` with a tensor of all experts for each of w1, w3, w2, as GGUF has it.
  private func stackedMixture(experts: Int, chosen: Int) throws -> ExpertMixture {
    let s = settings
    let stack = { (name: String, rows: Int, columns: Int) in
      try weights.matrices(
        "block_sparse_moe.experts.\(name).weight", count: experts, rows: rows, columns: columns
      ).map { LinearWeights(weights: $0) }
    }
    let gates = try stack("w1", s.feedForwardWidth, s.width)
    let (ups, downs) = (
      try stack("w3", s.feedForwardWidth, s.width), try stack("w2", s.width, s.feedForwardWidth)
    )
    return ExpertMixture(
      router: try weights.matrix(
        "block_sparse_moe.gate.weight", rows: experts, columns: s.width),
      experts: (0..<experts).map {
        MLPWeights(gate: gates[$0], up: ups[$0], down: downs[$0], activation: s.activation)
      }, chosen: chosen)
  }
}

/// Σ over the `chosen` experts e of largest logit of wₑ(x) expertₑ(x), w their soft-max. Each row has its own choice, which
/// is a constant; only experts that some row chose are evaluated.
struct ExpertMixture: FeedForward {
  /// (experts, width)
  let router: StoredMatrix
  let experts: [MLPWeights]
  let chosen: Int

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let logits = x.linear(router)
    let isChosen = choice(logits.value)
    // The soft-max of the chosen is that of all with the others at −∞, where e^logit and its derivative are 0.
    var i = -1
    let weights = logits.map { logit in
      i += 1
      return isChosen[i / x.rows][i % x.rows] ? (logit, 1) : (-.infinity, 0)
    }.softmax()
    let parts = experts.indices.compactMap { e -> Variable<S>? in
      let rows = (0..<x.rows).filter { isChosen[e][$0] }
      guard !rows.isEmpty else { return nil }
      let y = experts[e](x.rows(rows))
      let weight = weights.rows(rows).columns(Array(repeating: e, count: y.columns))
      return (weight * y).spread(to: rows, of: x.rows)
    }
    return parts.dropFirst().reduce(parts[0], +)
  }

  /// Whether an expert is among those of largest logit of a row: [expert][row].
  private func choice<S: RealScalar>(_ logits: Matrix<S>) -> [[Bool]] {
    var result = experts.map { _ in Array(repeating: false, count: logits.rows) }
    for row in 0..<logits.rows {
      let order = experts.indices.sorted { logits[row, $0] > logits[row, $1] }
      for e in order.prefix(chosen) { result[e][row] = true }
    }
    return result
  }
}

extension GGUFDialect {
  /// Every expert had tensors of its own until April 2024 (llama.cpp, pull request 6387).
  fileprivate static let mixtral = GGUFDialect(
    architecture: "llama",
    names: decoder(with: [
      "block_sparse_moe.gate": "ffn_gate_inp", "block_sparse_moe.experts.w1": "ffn_gate_exps",
      "block_sparse_moe.experts.w2": "ffn_down_exps", "block_sparse_moe.experts.w3": "ffn_up_exps",
      "block_sparse_moe.experts.#.w1": "ffn_gate.#",
      "block_sparse_moe.experts.#.w2": "ffn_down.#", "block_sparse_moe.experts.#.w3": "ffn_up.#",
    ]),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: [
      "num_local_experts": ["expert_count"], "num_experts_per_tok": ["expert_used_count"],
      "sliding_window": ["attention.sliding_window"],
    ], pairing: .interleaved, claims: { $0.isMixture })
}
