import Checkpoint

extension GatedDecoder {
  /// Qwen3: a block of Llama with an RMSNorm over the features of every query and key before they rotate, heads of a size
  /// of their own, and Qwen2's windows.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Yang et al., arXiv 2505.09388.
  init(qwen3 file: ModelFile) throws {
    let c = file.configuration
    var s = try DecoderSettings(
      c, .init(hidden: 22016, keyValueHeads: 32, headDimension: 128, positions: 32768))
    s.attentionBias = try c.flag("attention_bias", default: false)
    let windows = try s.qwenWindows(c)
    try c.refuseUnread()
    let (reader, size) = (DecoderReader(file, s), s.headDimension)
    try self.init(
      file, reader, family: "qwen3", norm: reader.norm("norm"),
      note: "queries and keys are normalised as well"
    ) { l in
      var attention = try reader.attention(ofBlock: l, window: windows[l])
      attention.queryNorm = try reader.norm("self_attn.q_norm", ofBlock: l, count: size)
      attention.keyNorm = try reader.norm("self_attn.k_norm", ofBlock: l, count: size)
      return try reader.block(l, attention, reader.mlp(ofBlock: l))
    }
  }
}
