import Checkpoint

extension FamilyDefinition {
  /// Mixtral: a block of Mistral with a mixture of experts in place of the MLP: X ↦ Z = X + attention(norm X), F = Z
  /// + Σₑ wₑ(norm Z) expertₑ(norm Z), where w is the soft-max of the router over the experts that a token chooses.
  ///
  /// The choice is held, since it is constant near almost every point; the weights w are differentiated.
  /// Jiang et al., arXiv 2401.04088.
  public static let mixtral = FamilyDefinition(
    "mixtral", residual: ExpertMixture.residual, gguf: .mixtral
  ) { try DecoderModel(mixtral: $0) }
}

extension DecoderModel {
  fileprivate init(mixtral file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(
      c,
      .init(
        feedForwardWidth: 14336, keyValueHeads: 8, positions: 131_072, epsilon: 1e-5,
        theta: 1_000_000))
    let experts = try c.size("num_local_experts", "num_experts", default: 8)
    let chosen = try c.chosenExperts(of: experts, default: 2)
    let window = try c.optionalSize("sliding_window")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: ExpertMixture.note(chosen: chosen, of: experts)
    ) { block, _ in
      try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(window: window),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: ExpertMixture(
          router: block.mixtralRouter(experts), routing: .init(chosen: chosen),
          experts: block.experts(experts, width: s.feedForwardWidth, block.mixtralExperts)))
    }
  }
}

extension GGUFDialect {
  /// The dialect. Until April 2024 every expert had tensors of its own (llama.cpp, pull request 6387).
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
