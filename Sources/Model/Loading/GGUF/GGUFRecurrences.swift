import Files

/// llama.cpp's names and keys for models with recurrent blocks.
extension GGUFDialect {
  /// The names of the tensors of a recurrent mixer, which the family calls `mixer` within a block. The rates and D
  /// have no suffix.
  static func recurrence(_ mixer: String) -> [String: String] {
    let names = [
      "in_proj": "ssm_in", "conv1d": "ssm_conv1d", "dt_bias": "ssm_dt.bias", "A_log": "ssm_a.",
      "D": "ssm_d.", "norm": "ssm_norm", "out_proj": "ssm_out",
    ]
    return Dictionary(uniqueKeysWithValues: names.map { ("\(mixer).\($0.key)", $0.value) })
  }

  /// The keys of the sizes of recurrent mixers, under the names that different families use.
  static let recurrenceKeys: [String: [String]] = {
    let keys = [
      "ssm.conv_kernel": ["conv_kernel", "mamba_d_conv", "linear_conv_kernel_dim"],
      "ssm.state_size": ["state_size", "ssm_state_size", "mamba_d_state", "linear_key_head_dim"],
      "ssm.group_count": ["n_groups", "mamba_n_groups", "linear_num_key_heads"],
      "ssm.time_step_rank": [
        "num_heads", "mamba_num_heads", "mamba_n_heads", "linear_num_value_heads",
      ],
      "ssm.inner_size": ["mamba_d_ssm"],
    ]
    return Dictionary(
      uniqueKeysWithValues: keys.flatMap { key, names in names.map { ($0, [key]) } })
  }()

  /// The sizes of recurrent mixers, all of which a file must have.
  static let recurrenceSizes = [
    "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count",
  ]
}

extension GGUFMetadata {
  /// The number of features of a head's values in a recurrent mixer, under its key in a config.json: an equal share
  /// of all.
  func valueDimension(_ key: String) -> [String: JSONValue] {
    guard let inner = size("ssm.inner_size"), let heads = size("ssm.time_step_rank") else {
      return [:]
    }
    return [key: .number(.integer(max(inner / heads, 1)))]
  }

  /// The keys that say whether a mixer's input map and convolution have biases, derived from the tensors.
  func mixerBiases(input: String, convolution: String) -> [String: JSONValue] {
    [
      input: .bool(hasInABlock("ssm_in.bias")),
      convolution: .bool(hasInABlock("ssm_conv1d.bias")),
    ]
  }

  /// The entries of a key that has one per block; nil if their number is wrong.
  func entries(_ key: String) -> [Int]? {
    guard let blocks = size("block_count"), blocks <= 1 << 12, let value = value(key) else {
      return nil
    }
    if let all = value.array?.compactMap(\.int) { return all.count == blocks ? all : nil }
    return value.int.map { Array(repeating: $0, count: blocks) }
  }

  /// The common value of all entries that are not 0; null if all are 0. If they differ, or their number is wrong, the
  /// value is returned as it is, for the reader to refuse.
  func entryOfSome(_ key: String) -> JSONValue {
    guard let all = entries(key) else { return value(key) ?? .null }
    let present = Set(all).subtracting([0])
    guard present.count <= 1 else { return value(key) ?? .null }
    return present.first.map { .number(.integer($0)) } ?? .null
  }

  /// `layer_types` and the number of key-value heads, where blocks without such heads are recurrent.
  func kindsByHeads(recurrent: String) -> [String: JSONValue] {
    let key = "attention.head_count_kv"
    var settings = ["num_key_value_heads": entryOfSome(key)]
    if let heads = entries(key) {
      settings["layer_types"] = .array(
        heads.map { .string($0 == 0 ? recurrent : "full_attention") })
    }
    return settings
  }
}
