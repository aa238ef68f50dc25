import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-Neo: the block of GPT-2 with unscaled scores, and attention that is global in some blocks and limited to a
  /// window in others.
  ///
  /// Black et al., *GPT-Neo*, 2021, doi 10.5281/zenodo.5297715.
  public static let gptNeo = FamilyDefinition(
    "gpt_neo", initialisation: Initialisation(isTied: true, hasPadding: false)
  ) { try DecoderModel(gptNeo: $0) }
}

extension DecoderModel {
  fileprivate init(gptNeo file: ModelFile) throws {
    let c = file.configuration
    let r = try GPT2Reader(
      file, .init(layers: 24, width: 2048, heads: 16, positions: 2048),
      .init(
        layers: "num_layers", width: "hidden_size", heads: "num_heads",
        feedForwardWidth: "intermediate_size", positions: "max_position_embeddings"))
    let window = try c.size("window_size", default: 256)
    let isLocal = try Self.localBlocks(c, count: r.layers)
    try c.refuseUnread()
    try self.init(file, r, learnsPositions: true) { block, l in
      let projection = { (name: String, bias: Bool) in
        try block.linear("attn.attention." + name, outputs: r.width, inputs: r.width, bias: bias)
      }
      return try DecoderBlock(
        mixerNorm: r.norm("ln_1", in: block),
        mixer: AttentionWeights(
          heads: r.heads, keyValueHeads: r.heads, headDimension: r.headDimension,
          projection: .separate(
            query: projection("q_proj", false), key: projection("k_proj", false),
            value: projection("v_proj", false)),
          output: projection("out_proj", true), scale: 1, window: isLocal(l) ? window : nil),
        feedForwardNorm: r.norm("ln_2", in: block),
        feedForward: r.mlp(up: "mlp.c_fc", down: "mlp.c_proj", in: block))
    }
  }

  /// The blocks with local attention. `attention_types` consists of pairs of a list of kinds and a number of
  /// repetitions; by default global and local alternate 12 times.
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
            reason: "must be pairs of a list of \"global\" and \"local\" and a repeat count")
        }
        parts.append((kinds.map { $0.string == "local" }, times))
      }
    }
    // Each part has fewer kinds than the file has bytes, and is not repeated more often than there are blocks.
    let stated = parts.reduce(0.0) { $0 + Double($1.isLocal.count) * Double($1.times) }
    try c.check(
      stated == Double(count), key, "does not describe \(count) blocks")
    let isLocal = { (block: Int) in
      var rest = block
      for (isLocal, times) in parts {
        if rest < isLocal.count * times { return isLocal[rest % isLocal.count] }
        rest -= isLocal.count * times
      }
      return false
    }
    // The same list written out, which some versions of the reference use instead.
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
