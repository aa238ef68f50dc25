import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// MiniMax-M2: a block of Llama with RMSNorms over all queries and all keys of a token, partly rotated heads, and a
  /// mixture of experts in place of the MLP.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z). Scores are logistic functions of the logits,
  /// divided by the sum over the chosen experts; a correction affects only the choice.
  public static let miniMaxM2 = FamilyDefinition(
    "minimax_m2", residual: ExpertMixture.residual, gguf: .miniMaxM2,
    initialisation: Initialisation(exceptions: { _, _ in [Initialiser.uncorrected] })
  ) { try DecoderModel(miniMaxM2: $0) }
}

extension DecoderModel {
  fileprivate init(miniMaxM2 file: ModelFile) throws {
    let c = file.configuration
    // Published files give the number of rotated features, unless a share is given.
    let size = try c.size("head_dim", default: 128)
    let rotated = try c.size("rotary_dim", default: size)
    let s = try DecoderSettings(
      c,
      .init(
        layers: 62, width: 3072, feedForwardWidth: 1536, heads: 48, keyValueHeads: 8,
        headDimension: 128, positions: 196_608, theta: 5_000_000,
        rotatedShare: Double(rotated) / Double(size)))
    let count = try c.size("num_local_experts", "num_experts", default: 256)
    let chosen = try c.chosenExperts(of: count, default: 8)
    try c.checkSupported(
      try c.text("scoring_func", default: "sigmoid") == "sigmoid", "scoring_func",
      "this family's scores are logistic functions")
    // The norms are always present.
    c.understand("use_qk_norm")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "queries and keys are normalised as well; "
        + ExpertMixture.note(chosen: chosen, of: count)
    ) { block, _ in
      let experts = block.mixtralExperts
      let correction = try block.weights.vector(
        "\(block.mixtralPrefix).e_score_correction_bias", count: count)
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(norms: .all),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: ExpertMixture(
          router: block.mixtralRouter(count),
          routing: .init(.sigmoid, chosen: chosen, correction: correction),
          experts: block.experts(count, width: s.feedForwardWidth, experts)))
    }
  }
}

extension GGUFDialect {
  fileprivate static let miniMaxM2 = GGUFDialect(
    architecture: "minimax-m2",
    names: decoder(
      with: headNorms.merging(experts) { $1 }.merging([
        "mlp.experts.w1": "ffn_gate_exps", "mlp.experts.w2": "ffn_down_exps",
        "mlp.experts.w3": "ffn_up_exps", "mlp.e_score_correction_bias": "exp_probs_b.bias",
      ]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging([
      "intermediate_size": ["expert_feed_forward_length", "feed_forward_length"]
    ]) { $1 },
    settings: { file in
      [
        "scoring_func": .string(
          [nil, 0, 2].contains(file.value("expert_gating_func")?.int) ? "sigmoid" : "softmax"),
        "expert_gating_func": .null,
      ]
    })
}
