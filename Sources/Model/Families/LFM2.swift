import Autodiff
import Checkpoint
import Files

extension FamilyDefinition {
  /// LFM2: gated short convolutions in most blocks, and attention with norms of queries and keys in the others.
  ///
  /// X ↦ Z = X + mixer(norm X), F = Z + mlp(norm Z). A convolution of width K sees a token and the K − 1 before it;
  /// f(X)ₜ does not depend on xₛ further back. Liquid AI, arXiv 2511.23404.
  public static let lfm2 = FamilyDefinition(
    "lfm2", outerTypes: ["lfm2_vl": "lfm2"],
    residual: "f(X) = mixer(norm X) + mlp(norm Z), Z = X + mixer(norm X), the mixer a short "
      + "convolution in some blocks and attention in others", gguf: .lfm2("lfm2"),
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try DecoderModel(lfm2: $0) }
}

extension DecoderModel {
  fileprivate init(lfm2 file: ModelFile) throws {
    let c = file.configuration
    let epsilon = try c.positive("norm_eps", default: 1e-5)
    var s = try DecoderSettings(
      c,
      .init(
        width: 2560, feedForwardWidth: 12288, keyValueHeads: 8, positions: 128_000,
        theta: 1_000_000, tiedHead: true), epsilon: epsilon)
    s.feedForwardWidth = try c.adjustedWidth(
      c.optionalSize("block_ff_dim") ?? s.feedForwardWidth)
    let convolutions = try ShortConvolutionSettings(c, &s)
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(
      file, reader, norm: reader.norm("model.embedding_norm"), note: convolutions.note
    ) { block, l in
      try DecoderBlock(
        mixerNorm: block.norm("operator_norm"), mixer: block.lfm2Mixer(convolutions, l),
        feedForwardNorm: block.norm("ffn_norm"),
        feedForward: block.lfm2MLP(width: block.settings.feedForwardWidth))
    }
  }
}

extension Configuration {
  /// The width of the MLP, which the file may state before adjustment.
  fileprivate func adjustedWidth(_ stated: Int) throws(ModelError) -> Int {
    let isAdjusted = try flag("block_auto_adjust_ff_dim", default: true)
    let multiplier = try nullablePositive("block_ffn_dim_multiplier", absent: 1)
    let multiple = try size("block_multiple_of", default: 256)
    guard isAdjusted else { return stated }
    let width = 2 * stated / 3
    guard let multiplier else { return max(width, 1) }
    try check(multiplier <= 1024, "block_ffn_dim_multiplier", "is more than 1024")
    let scaled = Int(multiplier * Double(width))
    return max((scaled + multiple - 1) / multiple * multiple, 1)
  }
}

/// The settings of LFM2's convolutions.
struct ShortConvolutionSettings {
  let width: Int
  let bias: Bool
  /// Whether a block has a convolution.
  let isConvolution: (Int) -> Bool

  /// Reads the settings; also sets whether the head is tied.
  init(_ c: Configuration, _ s: inout DecoderSettings) throws {
    s.tiedHead = try c.flag("tie_embedding", default: s.tiedHead)
    width = try c.size("conv_L_cache", default: 3)
    bias = try c.flag("conv_bias", default: false)
    let (convolution, full) = ("conv", "full_attention")
    let indices = c.value(["full_attn_idxs"])?.value.array?.map(\.int)
    let kinds = try s.layerKinds(c, [convolution, full]) {
      indices.map { indices in { indices.contains($0) } }?($0) ?? true ? full : convolution
    }
    isConvolution = { kinds($0) == convolution }
  }

  /// A note about the blocks' Jacobians, in words for readers.
  var note: String {
    "a convolution sees a token and the \(width - 1) before it: from further back the block's "
      + "Jacobian is 0"
  }
}

extension DecoderReader {
  /// Reads `conv`, or `self_attn` with LFM2's names for its output and its norms of queries and keys.
  func lfm2Mixer(_ c: ShortConvolutionSettings, _ l: Int) throws -> any Mixer {
    let (s, size) = (settings, settings.headDimension)
    if c.isConvolution(l) {
      return ShortConvolutionWeights(
        input: try weights.linear(
          "conv.in_proj", outputs: 3 * s.width, inputs: s.width, bias: c.bias),
        convolution: try weights.convolution(
          "conv.conv", features: s.width, width: c.width, bias: c.bias),
        output: try weights.linear(
          "conv.out_proj", outputs: s.width, inputs: s.width, bias: c.bias))
    }
    let (queries, keys) = (s.heads * size, s.keyValueHeads * size)
    var attention = attention(
      try weights.projections(
        "self_attn", queries: queries, keys: keys, inputs: s.width, bias: false),
      output: try weights.linear(
        "self_attn.out_proj", outputs: s.width, inputs: queries, bias: false), window: nil)
    attention.queryNorm = try norm("self_attn.q_layernorm", count: size)
    attention.keyNorm = try norm("self_attn.k_layernorm", count: size)
    return attention
  }

  /// Reads `feed_forward`, in which w1 is the gate, w3 the up and w2 the down projection.
  func lfm2MLP(width: Int) throws -> MLPWeights {
    let part = { (name: String, outputs: Int, inputs: Int) in
      try weights.linear("feed_forward.\(name)", outputs: outputs, inputs: inputs, bias: false)
    }
    return MLPWeights(
      gate: try part("w1", width, settings.width), up: try part("w3", width, settings.width),
      down: try part("w2", settings.width, width), activation: .silu)
  }
}

extension GGUFDialect {
  /// The dialect. Blocks with convolutions have no key-value heads. The final norm has the name of a norm after the
  /// embedding, and the width of the MLP is stored after adjustment.
  static func lfm2(_ architecture: String) -> GGUFDialect {
    GGUFDialect(
      architecture: architecture,
      names: [
        "model.embed_tokens": "token_embd", "model.embedding_norm": "token_embd_norm",
        "lm_head": "output",
      ].merging(
        inBlocks(
          "model.layers.#.",
          [
            "operator_norm": "attn_norm", "ffn_norm": "ffn_norm",
            "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
            "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv",
            "self_attn.q_layernorm": "attn_q_norm", "self_attn.k_layernorm": "attn_k_norm",
            "self_attn.out_proj": "attn_output",
            "conv.in_proj": "shortconv.in_proj", "conv.conv": "shortconv.conv",
            "conv.out_proj": "shortconv.out_proj",
            "feed_forward.w1": "ffn_gate", "feed_forward.w2": "ffn_down",
            "feed_forward.w3": "ffn_up", "feed_forward.gate": "ffn_gate_inp",
            "feed_forward.expert_bias": "exp_probs_b.bias",
            "feed_forward.experts.w1": "ffn_gate_exps",
            "feed_forward.experts.w2": "ffn_down_exps", "feed_forward.experts.w3": "ffn_up_exps",
          ])
      ) { $1 },
      epsilon: "attention.layer_norm_rms_epsilon",
      keys: expertKeys.merging([
        "norm_eps": ["attention.layer_norm_rms_epsilon"], "conv_L_cache": ["shortconv.l_cache"],
        "num_dense_layers": ["leading_dense_block_count"],
      ]) { $1 },
      required: essential + ["attention.head_count_kv", "shortconv.l_cache"],
      settings: { file in
        file.kindsByHeads(recurrent: "conv").merging([
          "block_auto_adjust_ff_dim": .bool(false),
          "conv_bias": .bool(file.hasInABlock("shortconv.in_proj.bias")),
          "use_expert_bias": .bool(file.hasInABlock("exp_probs_b.bias")),
        ]) { $1 }
      })
  }
}
