import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// Granite 3 with experts: the block of Granite with a mixture of experts in place of the MLP.
  ///
  /// X ↦ Z = X + r attention(norm X), F = Z + r Σₑ wₑ expertₑ(norm Z), where w is the soft-max of the router over the
  /// experts that a token chooses. Granite Team, *Granite 3.0 Language Models*, 2024; Shen et al., arXiv 2408.13359.
  public static let graniteMoE = FamilyDefinition(
    "granitemoe",
    residual: "f(X) = r attention(norm X) + r Σ wₑ expertₑ(norm Z), Z = X + r attention(norm X)",
    gguf: .graniteMoE
  ) { try DecoderModel(graniteMoE: $0) }
}

extension DecoderModel {
  fileprivate init(graniteMoE file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c)
    s.attentionBias = try c.flag("attention_bias", default: false)
    let factors = try GraniteFactors(c)
    let count = try c.size("num_local_experts", "num_experts", default: 8)
    let chosen = try c.chosenExperts(of: count, default: 2)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"), embeddingScale: factors.embedding,
      logitScale: 1 / factors.logitDivisor,
      note: factors.note + "; " + ExpertMixture.note(chosen: chosen, of: count)
    ) { block, _ in
      var attention = try block.attention()
      attention.scale = factors.scores
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.graniteMixture(of: count, chosen: chosen, width: s.feedForwardWidth),
        residualScale: factors.residual)
    }
  }
}

extension DecoderReader {
  /// Reads `block_sparse_moe`, whose experts' tensors have different names in published files.
  func graniteMixture(
    of count: Int, chosen: Int, width inner: Int
  ) throws -> ExpertMixture {
    let published = ["router.layer", ".input_linear.weight", ".output_linear.weight"]
    let today = ["router", ".experts.gate_up_proj", ".experts.down_proj"]
    let prefix = "block_sparse_moe"
    let names = weights.contains(prefix + today[1]) ? today : published
    return ExpertMixture(
      router: try weights.linear(
        "\(prefix).\(names[0])", outputs: count, inputs: settings.width, bias: false),
      routing: .init(chosen: chosen),
      experts: try experts(
        count, width: inner, ExpertLayout(prefix: prefix, stacks: (names[1], names[2]))))
  }
}

extension GGUFDialect {
  fileprivate static let graniteMoE = GGUFDialect(
    architecture: "granitemoe",
    names: decoder(with: graniteExperts), epsilon: "attention.layer_norm_rms_epsilon",
    keys: expertKeys.merging(graniteKeys) { $1 }, pairing: .interleaved,
    settings: { $0.biases().merging($0.graniteScale) { $1 } })

  static let graniteExperts = [
    "block_sparse_moe.router.layer": "ffn_gate_inp",
    "block_sparse_moe.gate_proj": "ffn_gate_exps", "block_sparse_moe.up_proj": "ffn_up_exps",
    "block_sparse_moe.down_proj": "ffn_down_exps",
  ]
}
