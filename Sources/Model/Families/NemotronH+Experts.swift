import Autodiff
import Checkpoint

/// The settings of the experts.
struct NemotronMixture {
  let count, inner, shared: Int
  let latent: Int?
  var routing: ExpertRouting

  init(_ c: Configuration) throws {
    count = try c.size("n_routed_experts", "num_local_experts", default: 8)
    inner = try c.size("moe_intermediate_size", default: 7688)
    shared = try c.size("moe_shared_expert_intermediate_size", default: 7688)
    latent = try c.optionalSize("moe_latent_size")
    let groups = try c.size("n_group", default: 1)
    let chosenGroups = try c.size("topk_group", default: 1)
    try c.check(
      count % groups == 0, "n_group", "is \(groups), which does not divide the \(count) experts")
    try c.check(chosenGroups <= groups, "topk_group", "is more than the \(groups) groups")
    routing = ExpertRouting(
      .sigmoid, chosen: try c.chosenExperts(of: count, default: 2),
      isNormalised: try c.flag("norm_topk_prob", default: true),
      factor: try c.number("routed_scaling_factor", default: 1),
      groups: groups > 1 ? .init(count: groups, chosen: chosenGroups, best: 2) : nil)
  }

  /// Reads the `mixer` of a block with experts.
  func read(_ block: DecoderReader) throws -> any FeedForward {
    let (weights, s) = (block.weights.scoped("mixer."), block.settings)
    let width = latent ?? s.width
    let linear = { (name: String, outputs: Int, inputs: Int) in
      try weights.linear(name, outputs: outputs, inputs: inputs, bias: s.mlpBias)
    }
    var routing = routing
    routing.correction = try weights.vector("gate.e_score_correction_bias", count: count)
    let (experts, tensors) = try weights.recording { try stored(weights, width) }
    let activation = s.activation
    var mixture = ExpertMixture(
      router: try weights.linear("gate", outputs: count, inputs: s.width, bias: false),
      routing: routing,
      experts: ExpertMixture.Experts(tensors: tensors) {
        MLPWeights(up: experts[$0].up, down: experts[$0].down, activation: activation)
      }, shared: try block.mlp("mixer.shared_experts", width: shared, isGated: false))
    if let latent {
      mixture.latent = .init(
        down: try linear("fc1_latent_proj", latent, s.width),
        up: try linear("fc2_latent_proj", s.width, latent))
    }
    return mixture
  }

  /// Reads the experts, stored separately or as one tensor for each of the two matrices.
  private func stored(
    _ weights: WeightReader, _ width: Int
  ) throws -> [(up: LinearWeights, down: LinearWeights)] {
    if weights.contains("experts.up_proj") {
      let up = try weights.matrices("experts.up_proj", count: count, rows: inner, columns: width)
      let down = try weights.matrices(
        "experts.down_proj", count: count, rows: width, columns: inner)
      return zip(up, down).map { (LinearWeights(weights: $0), LinearWeights(weights: $1)) }
    }
    var experts: [(up: LinearWeights, down: LinearWeights)] = []
    for e in 0..<count {
      experts.append(
        (
          try weights.linear("experts.\(e).up_proj", outputs: inner, inputs: width, bias: false),
          try weights.linear("experts.\(e).down_proj", outputs: width, inputs: inner, bias: false)
        ))
    }
    return experts
  }
}
