import Files
import Checkpoint

/// The metadata of a GGUF file under its architecture's prefix, and its tensors.
public struct GGUFMetadata: Sendable {
  /// The name used in messages.
  public let file: String
  /// `general.architecture`.
  public let architecture: String
  /// The file's tensors.
  public let tensors: any TensorSource
  /// A value by its key without the architecture's prefix.
  public let value: @Sendable (String) -> JSONValue?

  init(
    file: String, architecture: String, tensors: any TensorSource,
    value: @escaping @Sendable (String) -> JSONValue?
  ) {
    (self.file, self.architecture, self.tensors) = (file, architecture, tensors)
    let blocks = value("block_count")?.int
    self.value = { key in
      let found = value(key)
      guard Self.ofBlocks.contains(key), let all = found?.array, all.count == blocks,
        let first = all.first, all.allSatisfy({ $0.int == first.int })
      else { return found }
      return first
    }
  }

  /// Keys that may have an entry for each block; if all entries are equal, they count as one value.
  private static let ofBlocks: Set = [
    "feed_forward_length", "attention.head_count", "attention.head_count_kv", "expert_used_count",
    "expert_feed_forward_length",
  ]

  /// The value of a key, if it is a size.
  public func size(_ key: String) -> Int? {
    value(key)?.int.flatMap { (1...1 << 31).contains($0) ? $0 : nil }
  }

  /// Whether the file has a tensor of this name.
  public func contains(_ tensor: String) -> Bool { tensors.contains(tensor) }

  /// The first dimension of a tensor.
  public func rows(_ tensor: String) -> JSONValue? {
    tensors.tensors.first { $0.name == tensor }?.shape.first.map { .number(.integer($0)) }
  }

  /// The number of features of a head, by default width / heads.
  public var headDimension: Int? {
    size("attention.key_length")
      ?? size("embedding_length").flatMap { width in
        size("attention.head_count").map { max(width / $0, 1) }
      }
  }

  /// `layer_types`, or `sliding_window_pattern`, derived from what the file says about windows: whether each block
  /// has one, or the number of blocks per block without one, which is `period` if the file does not say.
  public func layerKinds(period: Int) -> [String: JSONValue] {
    guard size("attention.sliding_window") != nil else {
      return ["sliding_window": .null, "sliding_window_pattern": .number(.integer(1))]
    }
    let pattern = value("attention.sliding_window_pattern")
    guard let slides = pattern?.array else {
      return [
        "sliding_window_pattern": pattern ?? .number(.integer(period)), "layer_types": .null,
      ]
    }
    return [
      "sliding_window_pattern": .number(.integer(period)),
      "layer_types": .array(
        slides.map {
          .string($0.bool == true || $0.int == 1 ? "sliding_attention" : "full_attention")
        }),
    ]
  }

  /// Whether the file has experts.
  public var isMixture: Bool { (value("expert_count")?.double ?? 0) != 0 }

  /// The metadata as the keys of a config.json. Throws `ModelError.badKey`, `FileError`.
  func configuration(_ dialect: GGUFDialect) throws -> Configuration {
    for key in dialect.required + [dialect.epsilon] where value(key) == nil {
      throw ModelError.badKey(file: file, key: "\(architecture).\(key)", reason: "is missing")
    }
    let head = headDimension.map { JSONValue.number(.integer($0)) }
    if let length = value("attention.value_length"), length.int != head?.int,
      !dialect.hasOwnValueLength
    {
      throw ModelError.badKey(
        file: file, key: "\(architecture).attention.value_length",
        reason: "is not the size of a head, \(headDimension.map { "\($0)" } ?? "unknown")")
    }
    var settings = try ropeSettings()
    settings["head_dim"] = value("attention.key_length") ?? head
    settings["rope.dimension_count"] = value("rope.dimension_count") ?? head
    settings["rope_theta"] = value("rope.freq_base") ?? .number(.integer(10_000))
    settings["vocab_size"] = rows("token_embd.weight")
    settings["tie_word_embeddings"] = .bool(!contains("output.weight"))
    settings.merge(dialect.settings(self)) { $1 }

    var keys = GGUFDialect.commonKeys
    for key in ["rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"] {
      keys[key] = [dialect.epsilon]
    }
    keys.merge(dialect.keys) { $1 }
    return Configuration(file: file, prefix: architecture + ".", keys: keys) {
      [keys, settings, value] key in
      if let setting = settings[key] { return setting }
      for name in keys[key] ?? [key] {
        guard let found = value(name) else { continue }
        return found.double == 0 && GGUFDialect.zeroIsNone.contains(name) ? .null : found
      }
      return nil
    }
  }

  // MARK: Rotation

  /// `rope_scaling` from the keys `rope.scaling.…` and from tensors of factors, if there are any.
  private func ropeSettings() throws -> [String: JSONValue] {
    let (all, long, short) = (
      try factors("rope_freqs.weight"), try factors("rope_factors_long.weight"),
      try factors("rope_factors_short.weight")
    )
    // Like llama.cpp: linear unless stated otherwise, and a factor of 0 means no scaling.
    let type = value("rope.scaling.type") ?? .string("linear")
    let factor = value("rope.scaling.factor") ?? value("rope.scale_linear")
    let (one, key) = (JSONValue.number(.integer(1)), "rope.scaling.attn_factor")
    if long != nil || short != nil {
      return [
        "rope_scaling": .members(
          ("rope_type", .string("longrope")), ("short_factor", short), ("long_factor", long),
          ("attention_factor", value(key) ?? one)),
        key: .null,
      ]
    }
    if let all {
      if let factor, factor.double != 0 && factor.double != 1 {
        throw unsupported(
          "rope.scaling.factor", factor, "the frequencies have factors of their own")
      }
      // The same factors for prompts of every length.
      return [
        "rope_scaling": .members(
          ("rope_type", .string("longrope")), ("short_factor", all), ("long_factor", all),
          ("attention_factor", one))
      ]
    }
    switch type.string {
    case "none": return [:]
    case "linear":
      guard let factor, factor.double != 0 else { return [:] }
      return ["rope_scaling": .members(("rope_type", type), ("factor", factor))]
    case "yarn":
      let (attention, mscale) = (
        "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_log_multiplier"
      )
      let all = value(mscale).flatMap { $0.double == 0 ? nil : $0 }
      return [
        "rope_scaling": .members(
          ("rope_type", type), ("factor", factor),
          ("beta_fast", value("rope.scaling.yarn_beta_fast")),
          ("beta_slow", value("rope.scaling.yarn_beta_slow")),
          ("attention_factor", value(attention)), ("mscale", all.map { _ in one }),
          ("mscale_all_dim", all)),
        attention: .null, mscale: .null,
      ]
    default:
      throw unsupported(
        "rope.scaling.type", type, "supported are none, linear, yarn, and longrope with factors")
    }
  }

  private func unsupported(_ key: String, _ value: JSONValue, _ reason: String) -> ModelError {
    .unsupportedKey(
      file: file, key: "\(architecture).\(key)", value: value.shown, reason: reason)
  }

  /// The divisors of the frequencies, one per pair of features. Throws `FileError`, `ModelError.badKey`.
  func factors(_ name: String) throws -> JSONValue? {
    guard contains(name) else { return nil }
    let tensor = try tensors.tensor(name)
    guard tensor.count <= 1 << 16, case let numbers = tensor.numbers(),
      numbers.allSatisfy({ $0 > 0 && $0.isFinite })
    else {
      throw ModelError.badKey(file: file, key: name, reason: "must hold positive numbers")
    }
    return .array(numbers.map { .number(.real(Double($0))) })
  }
}

extension JSONValue {
  /// An object of those members whose value is not nil; the keys must differ.
  static func members(_ members: (key: String, value: JSONValue?)...) -> JSONValue {
    let present = members.compactMap { key, value in value.map { (key: key, value: $0) } }
    return .object((try? JSONObject(present)) ?? JSONObject())
  }
}

extension GGUFValue {
  /// The value as JSON. A longer array than any model has blocks stands for an array of any length: no key here reads
  /// its elements.
  var json: JSONValue? {
    if let int { return .number(.integer(int)) }
    if let double { return .number(.real(double)) }
    if let bool { return .bool(bool) }
    if let string { return .string(string) }
    guard let array, array.count <= 1 << 12, let values = try? array.values() else {
      return .array([])
    }
    return .array(values.compactMap(\.json))
  }
}
