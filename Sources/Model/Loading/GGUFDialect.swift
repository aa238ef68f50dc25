import Files
import Checkpoint

/// How GGUF files of one architecture, as llama.cpp writes them, say what a family reads in the words of a config.json.
///
/// Keys and names of tensors are translated, and what a file leaves to its architecture is filled in, so that a family
/// reads both formats by the same lines; it asks for the format only where the numbers lie in another order.
struct GGUFDialect: Sendable {
  /// `general.architecture`.
  var architecture: String
  /// What tensors are called in the file, by their canonical names, as `WeightReader` has it.
  var names: [String: String]
  /// The key of the norms' ε.
  var epsilon = "attention.layer_norm_epsilon"
  /// Where keys of this family stand, beside those all have; the first that is there counts.
  var keys: [String: [String]] = [:]
  /// Keys without which there is no model: the defaults of a config.json are not those of a file.
  var required = [
    "block_count", "context_length", "embedding_length", "feed_forward_length",
    "attention.head_count",
  ]
  /// Whether the rows of q and k lie so that features that rotate together are neighbours.
  var neighboursPair = false
  /// What follows from the tensors and sizes, or from the architecture alone, by key of config.json or, to say that it was
  /// understood, by key of the file.
  var settings: @Sendable (GGUFMetadata) -> [String: JSONValue] = { _ in [:] }

  /// Keys of config.json that more than one family has, and where GGUF has them.
  fileprivate static let keys: [String: [String]] = [
    "num_hidden_layers": ["block_count"], "hidden_size": ["embedding_length"],
    "num_attention_heads": ["attention.head_count"],
    "num_key_value_heads": ["attention.head_count_kv", "attention.head_count"],
    "head_dim": ["attention.key_length"], "intermediate_size": ["feed_forward_length"],
    "n_inner": ["feed_forward_length"], "ffn_hidden_size": ["feed_forward_length"],
    "max_position_embeddings": ["context_length"], "rope_theta": ["rope.freq_base"],
    "rope_parameters": ["rope.scaling"],
    "original_max_position_embeddings": ["rope.scaling.original_context_length"],
  ]

  /// Of these, 0 is how files say that there is none.
  fileprivate static let zeroIsNone: Set = [
    "attention.sliding_window", "attention.clamp_kqv", "expert_count",
  ]
}

/// The metadata of a GGUF file under its architecture's name, and what its tensors tell besides.
struct GGUFMetadata: Sendable {
  /// For messages.
  let file: String
  let architecture: String
  let tensors: any TensorSource
  /// A value by its key without the architecture.
  let value: @Sendable (String) -> JSONValue?

  init(
    file: String, architecture: String, tensors: any TensorSource,
    value: @escaping @Sendable (String) -> JSONValue?
  ) {
    (self.file, self.architecture, self.tensors, self.value) = (file, architecture, tensors, value)
  }

  func size(_ key: String) -> Int? {
    value(key)?.int.flatMap { (1...1 << 31).contains($0) ? $0 : nil }
  }

  func contains(_ tensor: String) -> Bool { tensors.contains(tensor) }

  /// The first side of a tensor.
  func rows(_ tensor: String) -> JSONValue? {
    tensors.tensors.first { $0.name == tensor }?.shape.first.map { .number(.integer($0)) }
  }

  /// The features of a head, by default the width's share.
  var headDimension: Int? {
    size("attention.key_length")
      ?? size("embedding_length").flatMap { width in
        size("attention.head_count").map { max(width / $0, 1) }
      }
  }

  var isMixture: Bool { (value("expert_count")?.double ?? 0) != 0 }

  /// The keys as they lie in the file, of an architecture that is not known.
  var untranslated: Configuration {
    Configuration(file: file, prefix: architecture + ".", lookup: value)
  }

  /// The keys of a config.json. Throws `ModelError.badKey`, `FileError`.
  func configuration(_ dialect: GGUFDialect) throws -> Configuration {
    for key in dialect.required + [dialect.epsilon] where value(key) == nil {
      throw ModelError.badKey(file: file, key: "\(architecture).\(key)", reason: "is missing")
    }
    let head = headDimension.map { JSONValue.number(.integer($0)) }
    if let length = value("attention.value_length"), length.int != head?.int {
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

    var keys = GGUFDialect.keys
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

  /// `rope_parameters` of `rope.scaling.…` and of tensors of factors, if there are any.
  private func ropeSettings() throws -> [String: JSONValue] {
    let (all, long, short) = (
      try factors("rope_freqs.weight"), try factors("rope_factors_long.weight"),
      try factors("rope_factors_short.weight")
    )
    // Linear unless it says otherwise, and a factor of 0 is none; so llama.cpp reads it.
    let type = value("rope.scaling.type") ?? .string("linear")
    let factor = value("rope.scaling.factor") ?? value("rope.scale_linear")
    let (one, key) = (JSONValue.number(.integer(1)), "rope.scaling.attn_factor")
    if long != nil || short != nil {
      return [
        "rope_parameters": .members(
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
      // The same for prompts of every length.
      return [
        "rope_parameters": .members(
          ("rope_type", .string("longrope")), ("short_factor", all), ("long_factor", all),
          ("attention_factor", one))
      ]
    }
    switch type.string {
    case "none": return [:]
    case "linear":
      guard let factor, factor.double != 0 else { return [:] }
      return ["rope_parameters": .members(("rope_type", type), ("factor", factor))]
    case "yarn":
      return [
        "rope_parameters": .members(
          ("rope_type", type), ("factor", factor),
          ("beta_fast", value("rope.scaling.yarn_beta_fast")),
          ("beta_slow", value("rope.scaling.yarn_beta_slow")))
      ]
    default:
      throw unsupported(
        "rope.scaling.type", type, "known are none, linear, yarn, and longrope with its factors")
    }
  }

  private func unsupported(_ key: String, _ value: JSONValue, _ reason: String) -> ModelError {
    .unsupportedKey(
      file: file, key: "\(architecture).\(key)", value: value.shown, reason: reason)
  }

  /// What frequencies are divided by, one a pair of features. Throws `FileError`, `ModelError.badKey`.
  private func factors(_ name: String) throws -> JSONValue? {
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
  /// An object of those of the members that are there; the keys differ.
  static func members(_ members: (key: String, value: JSONValue?)...) -> JSONValue {
    let present = members.compactMap { key, value in value.map { (key: key, value: $0) } }
    return .object((try? JSONObject(present)) ?? JSONObject())
  }
}

extension GGUFValue {
  /// As JSON has it. An array stands for one of any length: no key here is read from one.
  var json: JSONValue? {
    if let int { return .number(.integer(int)) }
    if let double { return .number(.real(double)) }
    if let bool { return .bool(bool) }
    return string.map { JSONValue.string($0) } ?? .array([])
  }
}
