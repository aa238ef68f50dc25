import Autodiff
import LinearAlgebra

extension FamilyDefinition {
  /// GPT-BigCode: StarCoder, SantaCoder, and the first Granite Code models. The block of GPT-2, usually with one key
  /// and one value shared by all heads.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Li et al., arXiv 2305.06161; Ben Allal et al., arXiv 2301.03988.
  public static let gptBigCode = FamilyDefinition(
    "gpt_bigcode", gguf: .gptBigCode, initialisation: .gpt2
  ) { try DecoderModel(gptBigCode: $0) }
}

extension DecoderModel {
  fileprivate init(gptBigCode file: ModelFile) throws {
    let c = file.configuration
    let r = try GPT2Reader(file, .init(activation: "gelu_pytorch_tanh"))
    let isScaled = try c.flag("scale_attn_weights", default: true)
    let sharesKeys = try c.flag("multi_query", default: true)
    try c.refuseUnread()
    let keyValueHeads = sharesKeys ? 1 : r.heads
    let keys = keyValueHeads * r.headDimension
    try self.init(file, r, learnsPositions: true, keyValueHeads: keyValueHeads) { block, _ in
      let linear = { (name: String, outputs: Int) in
        try block.linear(name, outputs: outputs, inputs: r.width, bias: true)
      }
      let fused = try linear("attn.c_attn", r.width + 2 * keys)
      return try DecoderBlock(
        mixerNorm: r.norm("ln_1", in: block),
        mixer: AttentionWeights(
          heads: r.heads, keyValueHeads: keyValueHeads, headDimension: r.headDimension,
          projection: sharesKeys
            ? .stacked(fused, width: r.width, keys: keys)
            : .grouped(
              fused, heads: r.heads, keyValueHeads: r.heads, headDimension: r.headDimension,
              in: file.format),
          output: linear("attn.c_proj", r.width), scale: isScaled ? nil : 1),
        feedForwardNorm: r.norm("ln_2", in: block),
        feedForward: r.mlp(up: "mlp.c_fc", down: "mlp.c_proj", in: block))
    }
  }
}

extension GGUFDialect {
  /// The dialect. The converter supports only models with one shared key and value.
  fileprivate static let gptBigCode = GGUFDialect(
    architecture: "starcoder", names: gpt2Names)
}
