import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-J: F = X + attention(norm X) + mlp(norm X) with one norm, the first features of every head rotated in pairs
  /// of neighbours, and a head with a bias.
  ///
  /// Wang, Komatsuzaki, *GPT-J-6B*, 2021.
  public static let gptJ = FamilyDefinition(
    "gptj", gguf: .gptJ, initialisation: Initialisation(hasPadding: false)
  ) { try DecoderModel(gptJ: $0) }
}

extension DecoderModel {
  fileprivate init(gptJ file: ModelFile) throws {
    try self.init(gptJ: file, .gptJ(file)) { r, block in
      let projection = { (name: String) in
        try block.linear("attn." + name, outputs: r.width, inputs: r.width, bias: false)
      }
      return .separate(
        query: try projection("q_proj"), key: try projection("k_proj"),
        value: try projection("v_proj"))
    }
  }

  /// Assembles GPT-J or CodeGen, which differ in how queries, keys and values are stored.
  init(
    gptJ file: ModelFile, _ r: GPT2Reader,
    projection: (_ reader: GPT2Reader, _ block: WeightReader) throws -> QueryKeyValue
  ) throws {
    let c = file.configuration
    let rotated = try c.size("rotary_dim", default: 64)
    try c.check(
      rotated <= r.headDimension && rotated % 2 == 0, "rotary_dim",
      "must be an even number of a head's \(r.headDimension) features")
    try c.refuseUnread()
    try self.init(file, r, learnsPositions: false, headBias: true) { block, _ in
      let norm = try r.norm("ln_1", in: block)
      return try DecoderBlock(
        .parallel, mixerNorm: norm,
        mixer: AttentionWeights(
          heads: r.heads, keyValueHeads: r.heads, headDimension: r.headDimension,
          projection: projection(r, block),
          output: block.linear("attn.out_proj", outputs: r.width, inputs: r.width, bias: false),
          rotary: RotaryFrequencies(dimension: rotated, theta: 10_000, scaling: .none),
          pairing: .interleaved),
        feedForwardNorm: norm,
        feedForward: r.mlp(up: "mlp.fc_in", down: "mlp.fc_out", in: block))
    }
  }
}

extension GPT2Reader {
  /// Reads with the defaults of GPT-J and CodeGen. Throws `ModelError`.
  static func gptJ(_ file: ModelFile) throws(ModelError) -> GPT2Reader {
    try GPT2Reader(
      file, .init(layers: 28, width: 4096, heads: 16, positions: 2048, isTied: false))
  }
}

extension GGUFDialect {
  /// The dialect. llama.cpp names the tensors but neither writes nor reads such files; the keys are those in ggml's
  /// description of the format, and GPT4All reads both in this way (gpt4all-backend/gptj.cpp, October 2023). Neither
  /// has a key for the size of the MLP.
  fileprivate static let gptJ = GGUFDialect(
    architecture: "gptj",
    names: gpt2Ends.merging(
      inBlocks(
        "transformer.h.#.",
        [
          "ln_1": "attn_norm", "attn.q_proj": "attn_q", "attn.k_proj": "attn_k",
          "attn.v_proj": "attn_v", "attn.out_proj": "attn_output", "mlp.fc_in": "ffn_up",
          "mlp.fc_out": "ffn_down",
        ])
    ) { $1 },
    keys: ["rotary_dim": ["rope.dimension_count"]],
    required: [
      "block_count", "context_length", "embedding_length", "attention.head_count",
      "rope.dimension_count",
    ])
}
