import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-2: X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), with learned positions and a head that is usually the
  /// embedding.
  ///
  /// Weight matrices are stored as (inputs, outputs), except in GGUF. The scores may also be divided by the block's
  /// number.
  /// Radford et al., *Language Models are Unsupervised Multitask Learners*, 2019.
  public static let gpt2 = FamilyDefinition(
    "gpt2", gguf: .gpt2, initialisation: .gpt2
  ) { try DecoderModel(gpt2: $0) }
}

extension DecoderModel {
  fileprivate init(gpt2 file: ModelFile) throws {
    let (c, r) = (file.configuration, try GPT2Reader(file))
    let isScaled = try c.flag("scale_attn_weights", default: true)
    let isScaledByDepth = try c.flag("scale_attn_by_inverse_layer_idx", default: false)
    try c.refuseUnread()
    let isTransposed = file.format == .huggingFace
    let scale = isScaled ? 1 / Double(r.headDimension).squareRoot() : 1
    try self.init(file, r, learnsPositions: true) { block, l in
      let linear = { (name: String, outputs: Int) in
        try block.linear(
          name, outputs: outputs, inputs: r.width, bias: true, transposed: isTransposed)
      }
      return try DecoderBlock(
        mixerNorm: r.norm("ln_1", in: block),
        mixer: AttentionWeights(
          heads: r.heads, keyValueHeads: r.heads, headDimension: r.headDimension,
          projection: .stacked(linear("attn.c_attn", 3 * r.width), width: r.width),
          output: linear("attn.c_proj", r.width),
          scale: isScaledByDepth ? scale / Double(l + 1) : scale),
        feedForwardNorm: r.norm("ln_2", in: block),
        feedForward: r.mlp(
          up: "mlp.c_fc", down: "mlp.c_proj", in: block, transposed: isTransposed))
    }
  }
}

extension GGUFDialect {
  /// The names of the tensors before and after GPT-2's blocks.
  static let gpt2Ends = [
    "transformer.wte": "token_embd", "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm", "lm_head": "output",
  ]

  /// The names of all of GPT-2's tensors.
  static let gpt2Names = gpt2Ends.merging(
    inBlocks(
      "transformer.h.#.",
      [
        "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
      ])
  ) { $1 }

  fileprivate static let gpt2 = GGUFDialect(architecture: "gpt2", names: gpt2Names)
}

extension Initialisation {
  /// The maps back into the stream are scaled down by the square root of their number, two per block.
  static let gpt2 = Initialisation(
    isTied: true, hasPadding: false,
    exceptions: { file, deviation in
      let layers = try file.configuration.size("n_layer", "num_hidden_layers", default: 12)
      return [("c_proj", .normal(deviation: deviation / (2 * Double(layers)).squareRoot()))]
    })
}
