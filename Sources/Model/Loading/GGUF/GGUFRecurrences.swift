import Files

/// How llama.cpp writes models some of whose blocks are recurrent.
extension GGUFDialect {
  /// The tensors of a recurrent mixer, which the family calls `mixer` within a block. The rates and D have no ending.
  static func recurrence(_ mixer: String) -> [String: String] {
    let names = [
      "in_proj": "ssm_in", "conv1d": "ssm_conv1d", "dt_bias": "ssm_dt.bias", "A_log": "ssm_a.",
      "D": "ssm_d.", "norm": "ssm_norm", "out_proj": "ssm_out",
    ]
    return Dictionary(uniqueKeysWithValues: names.map { ("\(mixer).\($0.key)", $0.value) })
  }

  /// Where the sizes of recurrent mixers stand, under the names that one family or the other has for them.
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

  /// The sizes of recurrent mixers, all of which must be there.
  static let recurrenceSizes = [
    "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count",
  ]
}

extension GGUFMetadata {
  /// Features of a recurrent mixer's values, by the key that a config.json has for them: a head's share of all.
  func valueDimension(_ key: String) -> [String: JSONValue] {
    guard let inner = size("ssm.inner_size"), let heads = size("ssm.time_step_rank") else {
      return [:]
    }
    return [key: .number(.integer(max(inner / heads, 1)))]
  }

  /// Whether the mixers' maps from the stream and their convolutions have biases, by the keys that say so.
  func mixerBiases(input: String, convolution: String) -> [String: JSONValue] {
    [
      input: .bool(hasInABlock("ssm_in.bias")),
      convolution: .bool(hasInABlock("ssm_conv1d.bias")),
    ]
  }

  /// The entries of a key that has one for every block; nil where there are too few or too many.
  func entries(_ key: String) -> [Int]? {
    guard let blocks = size("block_count"), blocks <= 1 << 12, let value = value(key) else {
      return nil
    }
    if let all = value.array?.compactMap(\.int) { return all.count == blocks ? all : nil }
    return value.int.map { Array(repeating: $0, count: blocks) }
  }

  /// The entry that all blocks have for which it is not 0; null where it is 0 for all. Where they differ, or are of
  /// another number, the value is left for the reader to refuse.
  func entryOfSome(_ key: String) -> JSONValue {
    guard let all = entries(key) else { return value(key) ?? .null }
    let present = Set(all).subtracting([0])
    guard present.count <= 1 else { return value(key) ?? .null }
    return present.first.map { .number(.integer($0)) } ?? .null
  }

  /// `layer_types` and the heads of keys and values, where recurrent blocks are those without any.
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
