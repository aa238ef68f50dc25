extension GGUFDialect {
  private static let recurrentOnly = [
    "backbone.embeddings": "token_embd", "backbone.norm_f": "output_norm", "lm_head": "output",
    "backbone.layers.#.norm": "blk.#.attn_norm",
  ]

  static let mamba = GGUFDialect(
    architecture: "mamba",
    names: recurrentOnly.merging(
      inBlocks(
        "backbone.layers.#.mixer.",
        [
          "in_proj": "ssm_in", "conv1d": "ssm_conv1d", "x_proj": "ssm_x", "dt_proj": "ssm_dt",
          "A_log": "ssm_a.", "D": "ssm_d.", "out_proj": "ssm_out",
        ])
    ) { $1 },
    epsilon: "attention.layer_norm_rms_epsilon",
    keys: recurrenceKeys.merging(["time_step_rank": ["ssm.time_step_rank"]]) { $1 },
    required: ["block_count", "embedding_length"] + recurrenceSizes.dropLast(),
    settings: { $0.mixerBiases(input: "use_bias", convolution: "use_conv_bias") })

  static let mamba2 = GGUFDialect(
    architecture: "mamba2",
    names: recurrentOnly.merging(inBlocks("backbone.layers.#.", recurrence("mixer"))) { $1 },
    epsilon: "attention.layer_norm_rms_epsilon", keys: recurrenceKeys,
    required: ["block_count", "embedding_length"] + recurrenceSizes,
    settings: {
      $0.mixerBiases(input: "use_bias", convolution: "use_conv_bias")
        .merging($0.valueDimension("head_dim")) { $1 }
    })
}
