import Autodiff
import Checkpoint

extension FamilyDefinition {
  /// LFM2 with experts: the mixers of LFM2 and, in all but the first blocks, mixtures of experts that are chosen by
  /// their scores plus a correction and weighted by their scores.
  ///
  /// X ↦ Z = X + mixer(norm X), F = Z + Σₑ wₑ expertₑ(norm Z). Liquid AI, arXiv 2511.23404.
  public static let lfm2MoE = FamilyDefinition(
    "lfm2_moe",
    residual: "f(X) = mixer(norm X) + Σ wₑ expertₑ(norm Z), Z = X + mixer(norm X), the mixer a "
      + "short convolution in some blocks and attention in others", gguf: .lfm2("lfm2moe"),
    initialisation: Initialisation(
      isTied: true, paddingToken: 0, exceptions: { _, _ in [("expert_bias", .constant(0))] })
  ) { try DecoderModel(lfm2MoE: $0) }
}

extension DecoderModel {
  fileprivate init(lfm2MoE file: ModelFile) throws {
    let c = file.configuration
    let epsilon = try c.positive("norm_eps", default: 1e-5)
    var s = try DecoderSettings(
      c,
      .init(
        width: 2048, feedForwardWidth: 7168, keyValueHeads: 8, positions: 128_000,
        theta: 1_000_000, tiedHead: true), epsilon: epsilon)
    s.activation = .silu
    let convolutions = try ShortConvolutionSettings(c, &s)
    let dense = try c.number("num_dense_layers", default: 2)
    let count = try c.size("num_experts", "num_local_experts", default: 32)
    let inner = try c.size("moe_intermediate_size", default: 1792)
    let isCorrected = try c.flag("use_expert_bias", default: true)
    var routing = ExpertRouting(
      .sigmoid, chosen: try c.chosenExperts(of: count, default: 4),
      isNormalised: try c.flag("norm_topk_prob", default: true),
      factor: try c.number("routed_scaling_factor", default: 1))
    routing.epsilon = 1e-6
    // The key occurs in no config.json. 2 denotes the logistic function.
    let function = "expert_gating_func"
    try c.checkSupported(
      try c.number(function, default: 2) == 2, function,
      "this family's scores are logistic functions")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.embedding_norm"),
      note: convolutions.note + "; " + ExpertMixture.note(chosen: routing.chosen, of: count)
    ) { block, l in
      var feedForward: any FeedForward {
        get throws {
          guard Double(l) >= dense else { return try block.lfm2MLP(width: s.feedForwardWidth) }
          var routing = routing
          if isCorrected {
            routing.correction = try block.weights.vector("feed_forward.expert_bias", count: count)
          }
          return ExpertMixture(
            router: try block.weights.linear(
              "feed_forward.gate", outputs: count, inputs: s.width, bias: false),
            routing: routing,
            experts: try block.experts(
              count, width: inner,
              ExpertLayout(prefix: "feed_forward.experts", parts: ("w1", "w3", "w2"))))
        }
      }
      return try DecoderBlock(
        mixerNorm: block.norm("operator_norm"), mixer: block.lfm2Mixer(convolutions, l),
        feedForwardNorm: block.norm("ffn_norm"), feedForward: feedForward)
    }
  }
}
