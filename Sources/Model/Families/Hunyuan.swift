import Checkpoint
import Foundation

extension FamilyDefinition {
  /// Hunyuan V1, the dense models: the block of Llama with norms of the heads' queries and keys after the rotation.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Tencent Hunyuan Team, *Hunyuan 0.5B to 7B*, 2025.
  public static let hunyuan = FamilyDefinition(
    "hunyuan_v1_dense", gguf: .hunyuan, initialisation: Initialisation(paddingToken: 0)
  ) { try DecoderModel(hunyuan: $0) }
}

extension DecoderModel {
  fileprivate init(hunyuan file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(c, .init(epsilon: 1e-5))
    s.attentionBias = try c.flag("attention_bias", default: false)
    if let stretched = try RotaryFrequencies(hunyuan: c, s.rotary) {
      s.rotary = stretched
      s.positions = try c.size("max_position_embeddings", default: 2048)
    }
    // The norms are present whatever the key says.
    c.understand("use_qk_norm")
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, _ in
      var attention = try block.attention()
      attention.queryNorm = try block.norm("self_attn.query_layernorm", count: s.headDimension)
      attention.keyNorm = try block.norm("self_attn.key_layernorm", count: s.headDimension)
      attention.rotatesFirst = true
      return DecoderBlock(
        mixerNorm: try block.norm("input_layernorm"), mixer: attention,
        feedForwardNorm: try block.norm("post_attention_layernorm"),
        feedForward: try block.mlp())
    }
  }
}

extension RotaryFrequencies {
  /// The frequencies with an α, which are called dynamic but are not: θ becomes θ α^(d / (d − 2)) for sequences of
  /// any length.
  fileprivate init?(hunyuan c: Configuration, _ plain: RotaryFrequencies) throws(ModelError) {
    guard case .dynamic = plain.scaling,
      let parameters = try c.optionalObject("rope_scaling", "rope_parameters"),
      let alpha = try parameters.optionalNumber("alpha"), alpha != 0
    else { return nil }
    try parameters.check(alpha > 0, "alpha", "must be positive")
    try c.check(plain.dimension > 2, "head_dim", "must exceed 2 for this kind of scaling")
    let size = Double(plain.dimension)
    self.init(
      dimension: plain.dimension, theta: plain.theta * pow(alpha, size / (size - 2)),
      scaling: .none)
  }
}

extension GGUFDialect {
  fileprivate static let hunyuan = GGUFDialect(
    architecture: "hunyuan-dense",
    names: decoder(with: [
      "self_attn.query_layernorm": "attn_q_norm", "self_attn.key_layernorm": "attn_k_norm",
    ]),
    epsilon: "attention.layer_norm_rms_epsilon", settings: { $0.biases() })
}
