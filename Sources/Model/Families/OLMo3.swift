import Checkpoint
import Files

extension FamilyDefinition {
  /// OLMo 3: OLMo 2 with a sliding window in three of four blocks; scaling of rotary frequencies applies only to the
  /// others.
  ///
  /// X ↦ Z = X + norm(attention(X)), F = Z + norm(mlp(Z)); f = F − X, including the norms. OLMo Team, arXiv
  /// 2512.13961.
  public static let olmo3 = FamilyDefinition(
    "olmo3", residual: olmo2.residual, gguf: .olmo3, initialisation: Initialisation(paddingToken: 1)
  ) { try DecoderModel(olmo3: $0) }
}

extension DecoderModel {
  fileprivate init(olmo3 file: ModelFile) throws {
    let c = file.configuration
    let theta = 500_000.0
    var s = try DecoderSettings(
      c, .init(epsilon: 1e-5, theta: theta), rotary: .init(kind: "full_attention"))
    s.attentionBias = try c.flag("attention_bias", default: false)
    // As in the reference, the older rope_theta applies only to the other blocks; published files have the default
    // there.
    let local = try s.rotary(
      c, defaultTheta: theta,
      .init(kind: "sliding_attention", thetaKey: "rope_local_base_freq", isScaled: false))
    let window = try c.nullableSize("sliding_window", absent: 4096)
    let period = try c.size("sliding_window_pattern", default: 4)
    try c.check(
      window != nil || period == 1 || c.value(["layer_types"]) != nil, "sliding_window",
      "is null, but most blocks need it")
    let windows = try s.windows(c, window) { ($0 + 1) % period != 0 }
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "the norms come after the halves"
    ) { block, l in
      var attention = try block.attention(window: windows(l), norms: .all)
      if windows(l) != nil { attention.rotary = local }
      return try block.normsBehind(attention)
    }
  }
}

extension GGUFDialect {
  fileprivate static let olmo3 = GGUFDialect(
    architecture: "olmo2", names: decoder(with: headNorms.merging(normsBehind) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: windowKeys,
    claims: { $0.size("attention.sliding_window") != nil },
    settings: { file in
      let base = file.value("rope.freq_base_swa") ?? file.value("rope.freq_base")
      return file.biases().merging(file.layerKinds(period: 4)) { $1 }
        .merging(base.map { ["rope_local_base_freq": $0] } ?? [:]) { $1 }
    })
}
