import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-Neo: the block of GPT-2, with scores that are not scaled and attention that is global in some blocks and in a
  /// window in others.
  ///
  /// Black et al., *GPT-Neo*, 2021, doi 10.5281/zenodo.5297715.
  public static let gptNeo = FamilyDefinition(
    "gpt_neo", initialisation: Initialisation(isTied: true, hasPadding: false)
  ) { try LayerNormDecoder(gptNeo: $0) }
}

extension LayerNormDecoder {
  fileprivate init(gptNeo file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_layers", "num_hidden_layers", default: 24)
    let width = try c.size("hidden_size", default: 2048)
    let heads = try c.size("num_heads", "num_attention_heads", default: 16)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let feedForwardWidth = try c.size("intermediate_size", default: 4 * width)
    let positions = try c.size("max_position_embeddings", default: 2048)
    let window = try c.size("window_size", default: 256)
    let isLocal = try Self.localBlocks(c, count: layerCount)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation_function", default: "gelu_new")
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseUnread()

    let weights = file.gpt2Weights
    let layers = try Self.blocks(layerCount) { l in
      let block = weights.scoped("transformer.h.\(l).")
      let projection = { (name: String, bias: Bool) in
        try block.linear("attn.attention." + name, outputs: width, inputs: width, bias: bias)
      }
      return Layer(
        attentionNorm: try block.layerNorm("ln_1", width: width, epsilon: epsilon),
        attention: AttentionWeights(
          heads: heads, keyValueHeads: heads, headDimension: headDimension,
          projection: .separate(
            query: try projection("q_proj", false), key: try projection("k_proj", false),
            value: try projection("v_proj", false)),
          output: try projection("out_proj", true), scale: 1, window: isLocal(l) ? window : nil),
        mlpNorm: try block.layerNorm("ln_2", width: width, epsilon: epsilon),
        mlp: MLPWeights(
          up: try block.linear("mlp.c_fc", outputs: feedForwardWidth, inputs: width, bias: true),
          down: try block.linear(
            "mlp.c_proj", outputs: width, inputs: feedForwardWidth, bias: true),
          activation: activation))
    }
    let (embedding, head) = try weights.ends(
      width: width, positions: positions, epsilon: epsilon, tied: isTied)
    try self.init(
      file, weights, arrangement: .sequential, positions: positions,
      embedding: embedding, layers: layers, head: head, blockWord: "h.")
  }

  /// Which blocks are local. `attention_types` is pairs of a list of kinds and how often it comes; by default 12 times
  /// global and local in turn.
  private static func localBlocks(
    _ c: Configuration, count: Int
  ) throws(ModelError) -> (_ block: Int) -> Bool {
    let key = "attention_types"
    var parts = [(isLocal: [false, true], times: 12)]
    if let (_, value) = c.value([key]) {
      parts = []
      for pair in value.array ?? [.null] {
        guard pair.array?.count == 2, let kinds = pair.array?[0].array,
          let times = pair.array?[1].int, (0...count).contains(times),
          kinds.allSatisfy({ ["global", "local"].contains($0.string) })
        else {
          throw .badKey(
            file: c.file, key: key,
            reason: "must be pairs of a list of \"global\" and \"local\", and how often it comes")
        }
        parts.append((kinds.map { $0.string == "local" }, times))
      }
    }
    // Each part has fewer kinds than the file bytes, and no more times than there are blocks.
    let stated = parts.reduce(0.0) { $0 + Double($1.isLocal.count) * Double($1.times) }
    try c.check(
      stated == Double(count), key, "speaks of other than \(count) blocks")
    let isLocal = { (block: Int) in
      var rest = block
      for (isLocal, times) in parts {
        if rest < isLocal.count * times { return isLocal[rest % isLocal.count] }
        rest -= isLocal.count * times
      }
      return false
    }
    // The same written out, which counts for some versions of the reference.
    let spelledOut = "attention_layers"
    if let kinds = try c.optionalTexts(spelledOut) {
      try c.check(
        kinds.count == count
          && kinds.enumerated().allSatisfy { $1 == (isLocal($0) ? "local" : "global") },
        spelledOut, "is not what \"\(key)\" says")
    }
    return isLocal
  }
}
