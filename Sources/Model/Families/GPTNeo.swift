import Autodiff
import Checkpoint
import LinearAlgebra

extension LayerNormDecoder {
  /// GPT-Neo: the block of GPT-2, with scores that are not scaled and attention that is global in some blocks and in a
  /// window in others.
  ///
  /// Black et al., *GPT-Neo*, 2021, doi 10.5281/zenodo.5297715.
  init(gptNeo file: ModelFile) throws {
    let c = file.configuration
    let layerCount = try c.size("num_layers", "num_hidden_layers", default: 24)
    let width = try c.size("hidden_size", default: 2048)
    let heads = try c.size("num_heads", "num_attention_heads", default: 16)
    let headDimension = try c.headDimension(width: width, heads: heads)
    let hidden = try c.size("intermediate_size", default: 4 * width)
    let positions = try c.size("max_position_embeddings", default: 2048)
    let window = try c.size("window_size", default: 256)
    let isLocal = try Self.localBlocks(c, count: layerCount)
    let epsilon = try c.positive("layer_norm_epsilon", default: 1e-5)
    let activation = try Activation(c, "activation_function", default: "gelu_new")
    let isTied = try c.flag("tie_word_embeddings", default: true)
    try c.refuseUnread()

    let weights = WeightReader(
      file.tensors, prefix: "transformer.", alternatives: [""], probe: "wte.weight")
    let tokens = try weights.table("transformer.wte.weight", columns: width)
    let layers = try (0..<layerCount).map { l in
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
          output: try projection("out_proj", true), scale: 1, window: isLocal[l] ? window : nil),
        mlpNorm: try block.layerNorm("ln_2", width: width, epsilon: epsilon),
        mlp: MLPWeights(
          up: try block.linear("mlp.c_fc", outputs: hidden, inputs: width, bias: true),
          down: try block.linear("mlp.c_proj", outputs: width, inputs: hidden, bias: true),
          activation: activation))
    }
    try self.init(
      file, weights, family: "gpt_neo", arrangement: .sequential, positions: positions,
      embedding: Embedding(
        tokens: tokens,
        positions: (
          try weights.matrix("transformer.wpe.weight", rows: positions, columns: width), 0
        )),
      layers: layers,
      head: Head(
        norm: try weights.layerNorm("transformer.ln_f", width: width, epsilon: epsilon),
        weights: try weights.head("lm_head", tied: isTied, to: tokens)),
      blockWord: "h.")
  }

  /// `attention_types`: pairs of a list of kinds and how often it comes; by default global and local in turn, 12 times.
  private static func localBlocks(
    _ c: Configuration, count: Int
  ) throws(ModelError) -> [Bool] {
    let key = "attention_types"
    var kinds: [JSONValue] = []
    if let (_, value) = c.value([key]) {
      for entry in value.array ?? [.null] {
        guard let pair = entry.array, pair.count == 2, let period = pair[0].array,
          let times = pair[1].int, times >= 0, times <= count
        else {
          throw .badKey(
            file: c.file, key: key, reason: "must be pairs of kinds and how often they come")
        }
        for _ in 0..<times { kinds += period }
      }
    } else {
      for _ in 0..<12 { kinds += [.string("global"), .string("local")] }
    }
    try c.check(kinds.count == count, key, "speaks of \(kinds.count) blocks instead of \(count)")
    try c.check(
      kinds.allSatisfy { ["global", "local"].contains($0.string) }, key,
      "must be of the kinds global and local")
    return kinds.map { $0.string == "local" }
  }
}
