import Checkpoint

extension GatedDecoder {
  /// Llama and the models built like it: Llama 2 and 3, CodeLlama, Vicuna, Orca, SmolLM2, Mistral.
  ///
  /// A block is X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), with RMSNorm, rotary embedding, grouped-query attention
  /// (in a sliding window for Mistral) and a gated MLP. f = F − X is both halves' sum.
  /// Touvron et al., arXiv 2302.13971; Jiang et al., arXiv 2310.06825.
  init(llama file: ModelFile) throws {
    let c = file.configuration
    let (reader, window): (DecoderReader, Int?)
    switch file.format {
    case .huggingFace:
      let isMistral = file.modelType == "mistral"
      var s = try DecoderSettings(
        c, isMistral ? .init(hidden: 14336, keyValueHeads: 8, positions: 131_072) : .init())
      if !isMistral {
        s.attentionBias = try c.flag("attention_bias", default: false)
        s.mlpBias = try c.flag("mlp_bias", default: false)
      }
      window = isMistral ? try c.nullableSize("sliding_window", absent: 4096) : nil
      reader = DecoderReader(file, s)
    case .gguf:
      let weights = WeightReader(file.tensors, ggufNames: Self.llamaNames)
      reader = DecoderReader(weights, try DecoderSettings(gguf: c, weights))
      window = try c.optionalSize("attention.sliding_window")
    }
    try c.refuseUnread()
    try self.init(
      file, reader, family: "llama", norm: reader.norm("model.norm"),
      note: "the block's input is not normalised"
    ) { block, _ in
      try block.withNormsBefore(block.attention(window: window), block.mlp())
    }
  }

  /// The names of tensors in GGUF files.
  static let llamaNames = [
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "rope_freqs": "rope_freqs",
    "model.layers.#.input_layernorm": "blk.#.attn_norm",
    "model.layers.#.self_attn.q_proj": "blk.#.attn_q",
    "model.layers.#.self_attn.k_proj": "blk.#.attn_k",
    "model.layers.#.self_attn.v_proj": "blk.#.attn_v",
    "model.layers.#.self_attn.o_proj": "blk.#.attn_output",
    "model.layers.#.post_attention_layernorm": "blk.#.ffn_norm",
    "model.layers.#.mlp.gate_proj": "blk.#.ffn_gate",
    "model.layers.#.mlp.up_proj": "blk.#.ffn_up",
    "model.layers.#.mlp.down_proj": "blk.#.ffn_down",
  ]
}

extension DecoderSettings {
  /// The metadata of a GGUF file under `llama.`; what it leaves open the tensors tell.
  init(gguf c: Configuration, _ weights: WeightReader) throws {
    layers = try c.size("block_count")
    width = try c.size("embedding_length")
    hidden = try c.size("feed_forward_length")
    heads = try c.size("attention.head_count")
    keyValueHeads = try c.size("attention.head_count_kv", default: heads)
    headDimension = try c.size("attention.key_length", default: max(width / heads, 1))
    positions = try c.size("context_length", default: 2048)
    epsilon = try c.positive("attention.layer_norm_rms_epsilon")
    activation = .silu
    let dimension = try c.size("rope.dimension_count", default: headDimension)
    try c.check(
      dimension == headDimension, "rope.dimension_count", "is not the size of a head")
    try c.check(
      dimension % 2 == 0, "rope.dimension_count", "is odd, and features rotate in pairs")
    let theta = try c.positive("rope.freq_base", default: 10_000)
    let scaling: RotaryFrequencies.Scaling
    // As llama.cpp reads it: linear unless it says otherwise, and a factor of 0 is none.
    switch try c.text("rope.scaling.type", default: "linear") {
    case "none": scaling = .none
    case "linear":
      let factor = try c.number("rope.scaling.factor", "rope.scale_linear", default: 0)
      try c.check(factor >= 0, "rope.scaling.factor", "is negative")
      scaling = factor == 0 ? .none : .linear(factor: factor)
    case let type:
      throw ModelError.unsupportedKey(
        file: c.file, key: "rope.scaling.type", value: type, reason: "known are none and linear")
    }
    if weights.contains("rope_freqs.weight") {
      let factors = try weights.vector("rope_freqs.weight", count: dimension / 2)
      guard factors.allSatisfy({ $0 > 0 }) else {
        throw ModelError.badKey(
          file: c.file, key: "rope_freqs.weight", reason: "must hold positive numbers")
      }
      rotary = RotaryFrequencies(
        dimension: dimension, theta: theta, scaling: .factors(factors.map(Double.init)))
    } else {
      rotary = RotaryFrequencies(dimension: dimension, theta: theta, scaling: scaling)
    }
    neighboursPair = true
    attentionBias = weights.contains("model.layers.0.self_attn.q_proj.bias")
    mlpBias = weights.contains("model.layers.0.mlp.gate_proj.bias")
    tiedHead = !weights.contains("lm_head.weight")
    try c.check(
      try c.optionalSize("expert_count") == nil, "expert_count",
      "asks for a mixture of experts, which is another family")
    try c.check(
      heads % keyValueHeads == 0, "num_key_value_heads",
      "is \(keyValueHeads), which does not divide the \(heads) heads")
  }
}
