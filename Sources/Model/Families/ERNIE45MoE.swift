import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// ERNIE 4.5 with experts: a block of Llama in which neighbouring features rotate together, with a mixture of
  /// experts, possibly with a shared one, in place of the MLP in some blocks.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + Σₑ wₑ expertₑ(norm Z) + shared(norm Z). Scores are a soft-max, divided by
  /// the sum over the chosen experts; a correction affects only the choice. Baidu-ERNIE-Team, ERNIE 4.5 Technical
  /// Report, 2025.
  public static let ernie45MoE = FamilyDefinition(
    "ernie4_5_moe", residual: ExpertMixture.sharedResidual, gguf: .ernie45MoE,
    initialisation: Initialisation(
      isTied: true, paddingToken: 0, exceptions: { _, _ in [Initialiser.uncorrected] })
  ) { try DecoderModel(ernie45MoE: $0) }
}

extension DecoderModel {
  fileprivate init(ernie45MoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c,
      .init(
        layers: 28, width: 2560, feedForwardWidth: 12288, heads: 20, keyValueHeads: 4,
        positions: 131_072, epsilon: 1e-5, theta: 500_000, tiedHead: true))
    s.pairing = .interleaved
    s.attentionBias = try c.flag("use_bias", default: false)
    s.mlpBias = s.attentionBias
    let count = try c.size("moe_num_experts", "num_experts", default: 64)
    let chosen = try c.size("moe_k", "num_experts_per_tok", default: 6)
    try c.check(chosen <= count, "moe_k", "is more than the number of experts, \(count)")
    let inner = try c.size("moe_intermediate_size", default: 1536)
    let shared = try c.count("moe_num_shared_experts", default: 2) * inner
    let (first, step) = (
      try c.count("moe_layer_start_index", default: 1),
      try c.size("moe_layer_interval", default: 1)
    )
    let last = try c.number("moe_layer_end_index", default: -1)
    // A smaller sum of shares would not be divided by.
    try c.checkSupported(
      try c.number("moe_norm_min", default: 1e-12) <= 1e-6, "moe_norm_min", "it must be small")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"), headBias: s.attentionBias,
      note: ExpertMixture.note(chosen: chosen, of: count)
    ) { block, l in
      let hasExperts =
        (l + 1) % step == 0 && l >= first && (last == -1 || Double(l) <= last)
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"),
        mixer: try block.attention(),
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: hasExperts
          ? try block.ernieMixture(of: count, chosen: chosen, width: inner, shared: shared)
          : try block.mlp())
    }
  }
}

extension DecoderReader {
  /// Reads a mixture whose correction is stored as a matrix of one row.
  fileprivate func ernieMixture(
    of count: Int, chosen: Int, width inner: Int, shared: Int
  ) throws -> ExpertMixture {
    let names = ["mlp.moe_statics", "mlp.gate.moe_statics", "mlp.gate"].map {
      $0 + ".e_score_correction_bias"
    }
    let name = names.first { weights.contains($0) } ?? names[0]
    let correction = try weights.row(name, count: count).row(0)
    return try mixture(
      of: count, width: inner, ExpertRouting(chosen: chosen, correction: correction),
      shared: shared > 0 ? shared : nil)
  }
}

extension GGUFDialect {
  fileprivate static let ernie45MoE = GGUFDialect(
    architecture: "ernie4_5-moe", names: decoder(with: experts),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging([
      "moe_num_experts": ["expert_count"], "moe_k": ["expert_used_count"],
      "moe_num_shared_experts": ["expert_shared_count"],
      "moe_layer_start_index": ["leading_dense_block_count"],
      "moe_layer_interval": ["interleave_moe_layer_step"],
    ]) { $1 },
    pairing: .interleaved, settings: { $0.biases(attention: "use_bias") })
}
