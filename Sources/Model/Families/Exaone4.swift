import Checkpoint
import Files

extension FamilyDefinition {
  /// EXAONE 4.0: norms after the halves of a block instead of before them, RMSNorms over the features of every query
  /// and key, and in the larger models a sliding window in three of four blocks, while the others do not rotate.
  ///
  /// X ↦ Z = X + norm(attention(X)), F = Z + norm(mlp(Z)); f = F − X, including the norms.
  /// LG AI Research, arXiv 2507.11407.
  public static let exaone4 = FamilyDefinition(
    "exaone4", residual: olmo2.residual, gguf: .exaone4
  ) { try DecoderModel(exaone4: $0) }
}

extension DecoderModel {
  fileprivate init(exaone4 file: ModelFile) throws {
    let c = file.configuration
    let s = try DecoderSettings(c, .init(feedForwardWidth: 16384, epsilon: 1e-5))
    let window = try c.nullableSize("sliding_window", absent: 4096)
    // Files have 0 or null if there is no window.
    if window == nil { c.understand("sliding_window_pattern") }
    let slides = try window == nil ? { _ in false } : s.exaonePattern(c)
    let windows = try s.windows(c, window, slides: slides)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.norm"),
      note: "the norms come after the halves"
    ) { block, l in
      var attention = try block.attention(window: windows(l), norms: .each)
      if window != nil, windows(l) == nil { attention.rotary = nil }
      return try block.normsBehind(attention)
    }
  }
}

extension DecoderSettings {
  /// The blocks with a window: those with an L in a pattern such as LLLG, which repeats and never applies to the last
  /// block, or all but every n-th.
  fileprivate func exaonePattern(_ c: Configuration) throws(ModelError) -> (Int) -> Bool {
    let key = "sliding_window_pattern"
    guard let letters = c.value([key])?.value.string else {
      let period = try c.size(key, default: 4)
      return { ($0 + 1) % period != 0 }
    }
    try c.check(
      !letters.isEmpty && letters.allSatisfy { "LG".contains($0) }, key,
      "must be a number or made of L and G")
    let (isLocal, last) = (letters.map { $0 == "L" }, layers - 1)
    return { $0 != last && isLocal[$0 % isLocal.count] }
  }
}

extension GGUFDialect {
  fileprivate static let exaone4 = GGUFDialect(
    architecture: "exaone4", names: decoder(with: headNorms.merging(normsBehind) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", keys: windowKeys,
    settings: { $0.layerKinds(period: 4) })
}
