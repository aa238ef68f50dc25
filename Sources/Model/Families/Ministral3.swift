import Checkpoint
import Foundation

extension FamilyDefinition {
  /// Ministral 3, on its own or within Mistral 3: a block of Mistral in which queries grow with their position p, q ↦
  /// (1 + β log(1 + ⌊p / n⌋)) q, where n is the original context length.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Liu et al., arXiv 2601.08584.
  public static let ministral3 = FamilyDefinition(
    "ministral3", gguf: .ministral3, initialisation: Initialisation(paddingToken: 11)
  ) { try DecoderModel(ministral3: $0) }
}

extension DecoderModel {
  fileprivate init(ministral3 file: ModelFile) throws {
    let c = file.configuration
    let (growth, length) = ("llama_4_scaling_beta", "original_max_position_embeddings")
    let s = try DecoderSettings(
      c,
      .init(
        layers: 34, feedForwardWidth: 14336, keyValueHeads: 8,
        headDimension: 128, positions: 262_144, epsilon: 1e-5),
      rotary: .init(understood: [growth]))
    let parameters = try c.optionalObject("rope_scaling", "rope_parameters")
    try c.check(parameters != nil || file.format == .gguf, "rope_parameters", "is missing")
    let β = try parameters?.optionalNumber(growth) ?? c.number(growth, default: 0)
    let trained = try c.optionalSize(length) ?? parameters?.optionalSize(length) ?? s.trained
    let window = try c.optionalSize("sliding_window")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: β == 0 ? nil : "queries grow with their position"
    ) { block, _ in
      var attention = try block.attention(window: window)
      if β != 0 { attention.temperature = { 1 + β * log(1 + Double($0 / trained)) } }
      return try DecoderBlock(
        mixerNorm: block.norm("input_layernorm"),
        mixer: attention,
        feedForwardNorm: block.norm("post_attention_layernorm"),
        feedForward: block.mlp())
    }
  }
}

extension GGUFDialect {
  /// The dialect. Files of the same architecture may contain a Mistral, whose queries do not grow.
  fileprivate static let ministral3 = GGUFDialect(
    architecture: "mistral3", names: decoder, epsilon: "attention.layer_norm_rms_epsilon",
    keys: [
      "sliding_window": ["attention.sliding_window"],
      "llama_4_scaling_beta": ["attention.temperature_scale"],
    ],
    pairing: .interleaved, claims: { !$0.isMixture })
}
