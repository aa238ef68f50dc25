import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// Phi-3, Phi-3.5 mini and medium, and Phi-4: a block of Llama with queries, keys and values in one matrix and gate
  /// and up in another; in some models only a part of a head rotates.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Abdin et al., arXiv 2404.14219.
  public static let phi3 = FamilyDefinition(
    "phi3", gguf: .phi3, initialisation: Initialisation(paddingToken: 32_000)
  ) { try DecoderModel(phi3: $0) }
}

extension DecoderModel {
  fileprivate init(phi3 file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(
      c,
      .init(width: 3072, feedForwardWidth: 8192, positions: 4096, epsilon: 1e-5, rotatedShare: 1),
      rotary: .init(longropeNames: ["longrope", "su", "yarn"], original: 4096, roundsUp: true))
    try s.requireLongrope(c)
    let window = try c.optionalSize("sliding_window")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      let linear = { (name: String, outputs: Int, inputs: Int) in
        try block.weights.linear(name, outputs: outputs, inputs: inputs, bias: false)
      }
      let qkv = try linear("self_attn.qkv_proj", queries + 2 * keys, s.width)
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: block.attention(
          .parts(of: qkv, queries: queries, keys: keys),
          output: linear("self_attn.o_proj", s.width, queries), window: window),
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.fusedMLP())
    }
  }
}

extension DecoderSettings {
  /// Throws `ModelError.unsupportedKey` if the rotation is scaled in a way that Phi does not use.
  func requireLongrope(_ c: Configuration) throws(ModelError) {
    switch rotary.scaling {
    case .none, .longrope: break
    default:
      throw .unsupportedKey(
        file: c.file, key: "rope_type", value: "\(rotary.scaling)",
        reason: "this family has default and longrope")
    }
  }
}

extension GGUFDialect {
  fileprivate static let phi3 = GGUFDialect(
    architecture: "phi3",
    names: decoder(with: ["mlp.gate_up_proj": "ffn_up"]),
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: ["sliding_window": ["attention.sliding_window"]])
}
