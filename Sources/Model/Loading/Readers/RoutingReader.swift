import Checkpoint
import LinearAlgebra

/// What the routing of DeepSeek V3 and of those built like it takes where a file says nothing.
struct SigmoidRoutingDefaults {
  var chosen: Int
  var factor: Double
  var groups, chosenGroups: Int

  static let deepSeekV3 = SigmoidRoutingDefaults(chosen: 8, factor: 2.5, groups: 8, chosenGroups: 4)
  static let glm4 = SigmoidRoutingDefaults(chosen: 8, factor: 1, groups: 1, chosenGroups: 1)
}

extension Configuration {
  /// Shares of a soft-max over all experts, divided by the chosen ones' sum where the file says so. Throws `ModelError`.
  func softmaxRouting(of count: Int, chosen: Int) throws(ModelError) -> ExpertRouting {
    ExpertRouting(
      chosen: try chosenExperts(of: count, default: chosen),
      isNormalised: try flag("norm_topk_prob", default: false))
  }

  /// Logistic scores, in the groups whose two best experts are best first, divided by their sum unless the file says
  /// otherwise. Throws `ModelError`.
  func sigmoidRouting(
    of count: Int, _ defaults: SigmoidRoutingDefaults
  ) throws(ModelError) -> ExpertRouting {
    try checkSupported(
      try text("scoring_func", default: "sigmoid") == "sigmoid", "scoring_func",
      "this family's scores are logistic functions")
    try checkSupported(
      try text("topk_method", default: "noaux_tc") == "noaux_tc", "topk_method",
      "known for this family is noaux_tc")
    var routing = ExpertRouting(
      .sigmoid, chosen: try chosenExperts(of: count, default: defaults.chosen),
      isNormalised: try nullableFlag("norm_topk_prob", absent: true),
      factor: try number("routed_scaling_factor", default: defaults.factor))
    routing.groups = try expertGroups(
      of: count, chosen: routing.chosen, best: 2, defaults.groups, defaults.chosenGroups)
    return routing
  }

  /// `n_group` groups of which `topk_group` are chosen, nil for a single one. Throws `ModelError.badKey`.
  func expertGroups(
    of count: Int, chosen: Int, best: Int, _ groups: Int? = nil, _ open: Int? = nil
  ) throws(ModelError) -> ExpertRouting.Groups? {
    let groups = try size("n_group", default: groups)
    let open = try size("topk_group", default: open)
    try check(count % groups == 0, "n_group", "does not divide the \(count) experts")
    try check(open <= groups, "topk_group", "is more than the \(groups) groups there are")
    let members = count / groups
    try check(members >= best || groups == 1, "n_group", "makes groups of \(members) experts")
    try check(
      chosen <= open * members, "topk_group", "leaves fewer experts than a token chooses, \(chosen)"
    )
    return groups == 1 ? nil : .init(count: groups, chosen: open, best: best)
  }
}

extension ModelFile {
  /// The same without the blocks after the `layers` of the model that predict further tokens. Throws `ModelError.badKey`,
  /// `FileError`.
  func withoutFurtherBlocks(_ layers: Int) throws -> ModelFile {
    let count = try configuration.count(
      "num_nextn_predict_layers", "num_mtp_layers", default: 1)
    let words = [format == .gguf ? "blk." : "layers."]
    // What joins a state and the next token's embedding marks them.
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

/// What DeepSeek and those built like it have in the place of MLPs: MLPs in the first blocks, and in the others mixtures
/// beside experts that all tokens go through.
struct LeadingDenseMixtures {
  /// Experts among which tokens choose.
  let count: Int
  /// Hidden features of one of them, and of those that all tokens share.
  let width, shared: Int
  /// Blocks without experts.
  let dense: Int
  let routing: ExpertRouting

  /// Reads the sizes, which have these defaults; `shared` counts experts. Throws `ModelError`.
  init(
    _ c: Configuration, of count: Int, _ routing: ExpertRouting, width: Int, shared: Int, dense: Int
  ) throws(ModelError) {
    (self.count, self.routing) = (count, routing)
    self.width = try c.size("moe_intermediate_size", default: width)
    self.shared = try c.count("n_shared_experts", default: shared) * self.width
    self.dense = try c.count("first_k_dense_replace", default: dense)
  }

  /// What there is to know, for people.
  var note: String { ExpertMixture.note(chosen: routing.chosen, of: count) }

  /// That of block `l`. The choice is corrected by `mlp.gate.e_score_correction_bias`, if there is one; `mlp.shared_experts`
  /// are there unless their width is 0.
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
  /// What corrects the choice of experts is zero at first.
  static let uncorrected = (ending: "e_score_correction_bias", Initialiser.constant(0))
}
