import Checkpoint
import LinearAlgebra

/// The defaults of DeepSeek V3's routing and its variants for absent keys.
struct SigmoidRoutingDefaults {
  var chosen: Int
  var factor: Double
  var groups, chosenGroups: Int

  static let deepSeekV3 = SigmoidRoutingDefaults(chosen: 8, factor: 2.5, groups: 8, chosenGroups: 4)
  static let glm4 = SigmoidRoutingDefaults(chosen: 8, factor: 1, groups: 1, chosenGroups: 1)
}

extension Configuration {
  /// Reads a routing by shares of a soft-max over all experts, divided by the chosen ones' sum if the file says so.
  /// Throws `ModelError`.
  func softmaxRouting(of count: Int, chosen: Int) throws(ModelError) -> ExpertRouting {
    ExpertRouting(
      chosen: try chosenExperts(of: count, default: chosen),
      isNormalised: try flag("norm_topk_prob", default: false))
  }

  /// Reads a routing by logistic scores, within the groups with the best sum of their two best experts, divided by
  /// their sum unless the file says otherwise. Throws `ModelError`.
  func sigmoidRouting(
    of count: Int, _ defaults: SigmoidRoutingDefaults
  ) throws(ModelError) -> ExpertRouting {
    try checkSupported(
      try text("scoring_func", default: "sigmoid") == "sigmoid", "scoring_func",
      "this family's scores are logistic functions")
    try checkSupported(
      try text("topk_method", default: "noaux_tc") == "noaux_tc", "topk_method",
      "this family supports only noaux_tc")
    var routing = ExpertRouting(
      .sigmoid, chosen: try chosenExperts(of: count, default: defaults.chosen),
      isNormalised: try nullableFlag("norm_topk_prob", absent: true),
      factor: try number("routed_scaling_factor", default: defaults.factor))
    routing.groups = try expertGroups(
      of: count, chosen: routing.chosen, best: 2, defaults.groups, defaults.chosenGroups)
    return routing
  }

  /// Reads `n_group` and `topk_group`, the number of groups and of those chosen; nil for a single group. Throws
  /// `ModelError.badKey`.
  func expertGroups(
    of count: Int, chosen: Int, best: Int, _ groups: Int? = nil, _ open: Int? = nil
  ) throws(ModelError) -> ExpertRouting.Groups? {
    let groups = try size("n_group", default: groups)
    let open = try size("topk_group", default: open)
    try check(count % groups == 0, "n_group", "does not divide the \(count) experts")
    try check(open <= groups, "topk_group", "is more than the number of groups, \(groups)")
    let members = count / groups
    try check(members >= best || groups == 1, "n_group", "makes groups of \(members) experts")
    try check(
      chosen <= open * members, "topk_group", "leaves fewer experts than a token chooses, \(chosen)"
    )
    return groups == 1 ? nil : .init(count: groups, chosen: open, best: best)
  }
}

extension ModelFile {
  /// The same file without the blocks after the model's `layers` that predict further tokens. Throws
  /// `ModelError.badKey`, `FileError`.
  func withoutFurtherBlocks(_ layers: Int) throws -> ModelFile {
    let count = try configuration.count(
      "num_nextn_predict_layers", "num_mtp_layers", default: 1)
    let words = [format == .gguf ? "blk." : "layers."]
    // They are recognised by the tensor that joins a state with the next token's embedding.
    let further = Set(
      tensors.tensors.compactMap { tensor -> Int? in
        guard tensor.name.contains("eh_proj"), let l = blockNumber(tensor.name, after: words),
          l >= layers, l - layers < count
        else { return nil }
        return l
      })
    return try leavingOut { name in
      guard let l = blockNumber(name, after: words), further.contains(l) else { return nil }
      return "layers.\(l)"
    }
  }
}

/// The feed-forward halves of DeepSeek and similar models: MLPs in the first blocks; in the others, mixtures with
/// experts that all tokens share.
struct LeadingDenseMixtures {
  /// The number of experts among which tokens choose.
  let count: Int
  /// The numbers of hidden features of one expert, and of the shared experts.
  let width, shared: Int
  /// The number of blocks without experts.
  let dense: Int
  let routing: ExpertRouting

  /// Reads the sizes, with these defaults; `shared` is a number of experts. Throws `ModelError`.
  init(
    _ c: Configuration, of count: Int, _ routing: ExpertRouting, width: Int, shared: Int, dense: Int
  ) throws(ModelError) {
    (self.count, self.routing) = (count, routing)
    self.width = try c.size("moe_intermediate_size", default: width)
    self.shared = try c.count("n_shared_experts", default: shared) * self.width
    self.dense = try c.count("first_k_dense_replace", default: dense)
  }

  /// A note about the choice of experts, in words for readers.
  var note: String { ExpertMixture.note(chosen: routing.chosen, of: count) }

  /// Reads the feed-forward half of block `l`. The choice is corrected by `mlp.gate.e_score_correction_bias`, if
  /// present; `mlp.shared_experts` must be present unless its width is 0.
  func feedForward(_ l: Int, _ block: DecoderReader) throws -> any FeedForward {
    guard l >= dense else { return try block.mlp() }
    var mixture = try block.mixture(
      of: count, width: width, routing, shared: shared > 0 ? shared : nil)
    let correction = "mlp.gate.e_score_correction_bias"
    if routing.score == .sigmoid || block.weights.contains(correction) {
      mixture.routing.correction = try block.weights.vector(correction, count: count)
    }
    return mixture
  }
}

extension Initialiser {
  /// The correction of the choice of experts, initially zero.
  static let uncorrected = (ending: "e_score_correction_bias", Initialiser.constant(0))
}
