import Files
import Checkpoint

/// A reader of a model's configuration: a config.json, or the metadata of a GGUF file under the names of a
/// config.json.
///
/// Every key is looked up by name, with its older spellings as alternatives, checked for type and range, and
/// remembered, so that an influential key that a family never read can be refused.
public final class Configuration {
  /// The name used in messages.
  public let file: String
  private let lookup: (String) -> JSONValue?
  private var read: Set<String> = []
  /// The keys in the file, where they differ from those asked for, and the prefix of all keys.
  private let keys: [String: [String]]
  private let prefix: String

  /// Creates a configuration over any source of values.
  init(
    file: String, prefix: String = "", keys: [String: [String]] = [:],
    lookup: @escaping (String) -> JSONValue?
  ) {
    self.file = file
    self.lookup = lookup
    self.keys = keys
    self.prefix = prefix
  }

  /// A key as the file spells it, for messages.
  public func spelled(_ key: String) -> String { prefix + (keys[key]?.first ?? key) }

  convenience init(file: String, object: JSONObject) {
    self.init(file: file) { object[$0] }
  }

  /// The value of the first of these keys that is present and not null.
  public func value(_ keys: [String]) -> (key: String, value: JSONValue)? {
    read.formUnion(keys.flatMap { [$0] + (self.keys[$0] ?? []) })
    for key in keys {
      if let value = lookup(key), !value.isNull { return (key, value) }
    }
    return nil
  }

  /// Whether a key is present, even if null.
  public func mentions(_ key: String) -> Bool { lookup(key) != nil }

  /// Marks a key as read that has no effect in this family.
  public func understand(_ key: String) { read.insert(key) }

  /// A value of a given type, or nil if no such key is present. Throws `ModelError.badKey` for another type.
  private func optional<T>(
    _ keys: [String], _ kind: String, _ convert: (JSONValue) -> T?
  ) throws(ModelError) -> T? {
    guard let (key, value) = value(keys) else { return nil }
    guard let result = convert(value) else {
      throw .badKey(file: file, key: spelled(key), reason: "must be \(kind)")
    }
    // If two spellings disagree, which one counts depends on the reader's version.
    for other in keys where other != key {
      guard let second = lookup(other), !second.isNull, !second.agrees(with: value) else {
        continue
      }
      throw .badKey(
        file: file, key: spelled(other), reason: "is not what \"\(spelled(key))\" says")
    }
    return result
  }

  private func require<T>(_ value: T?, _ keys: [String]) throws(ModelError) -> T {
    guard let value else { throw .badKey(file: file, key: spelled(keys[0]), reason: "is missing") }
    return value
  }

  /// A size: an integer from 1 to 2³¹.
  public func optionalSize(_ keys: String...) throws(ModelError) -> Int? {
    try optional(keys, "an integer from 1 to 2³¹") {
      $0.int.flatMap { (1...1 << 31).contains($0) ? $0 : nil }
    }
  }

  /// A size that must be present unless it has a default.
  public func size(_ keys: String..., default fallback: Int? = nil) throws(ModelError) -> Int {
    let value = try optional(keys, "an integer from 1 to 2³¹") {
      $0.int.flatMap { (1...1 << 31).contains($0) ? $0 : nil }
    }
    return try require(value ?? fallback, keys)
  }

  /// A size for which null means nil; `absent` if there is no such key.
  public func nullableSize(_ key: String, absent fallback: Int?) throws(ModelError) -> Int? {
    try optionalSize(key) ?? (mentions(key) ? nil : fallback)
  }

  /// A number of things that may be 0: an integer from 0 to 2³¹.
  public func count(_ keys: String..., default fallback: Int) throws(ModelError) -> Int {
    try optional(keys, "an integer from 0 to 2³¹") {
      $0.int.flatMap { (0...1 << 31).contains($0) ? $0 : nil }
    } ?? fallback
  }

  /// The id of a token: an integer from 0 to 2³¹.
  public func optionalID(_ key: String) throws(ModelError) -> Int? {
    try optional([key], "an integer from 0 to 2³¹") {
      $0.int.flatMap { (0...1 << 31).contains($0) ? $0 : nil }
    }
  }

  /// A number that must be present unless it has a default.
  public func number(
    _ keys: String..., default fallback: Double? = nil
  ) throws(ModelError) -> Double {
    try require(try optional(keys, "a finite number", Self.finite) ?? fallback, keys)
  }

  /// A finite number, or nil if no such key is present.
  public func optionalNumber(_ keys: String...) throws(ModelError) -> Double? {
    try optional(keys, "a finite number", Self.finite)
  }

  /// The number, if finite: GGUF can contain NaN and infinity, and so can JSON written by Python.
  private static func finite(_ value: JSONValue) -> Double? {
    value.double.flatMap { $0.isFinite ? $0 : nil }
  }

  /// A positive finite number, such as the ε of a norm, that must be present unless it has a default.
  public func positive(
    _ keys: String..., default fallback: Double? = nil
  ) throws(ModelError) -> Double {
    let value = try optional(keys, "a positive, finite number") {
      Self.finite($0).flatMap { $0 > 0 ? $0 : nil }
    }
    return try require(value ?? fallback, keys)
  }

  /// A positive finite number for which null means nil; `absent` if there is no such key.
  public func nullablePositive(_ key: String, absent fallback: Double?) throws(ModelError)
    -> Double?
  {
    guard value([key]) != nil else { return mentions(key) ? nil : fallback }
    return try positive(key)
  }

  /// An array of finite numbers that must be present.
  public func numbers(_ key: String) throws(ModelError) -> [Double] {
    try require(try optionalNumbers(key), [key])
  }

  /// An array of finite numbers, or nil if no such key is present.
  public func optionalNumbers(_ key: String) throws(ModelError) -> [Double]? {
    try optional([key], "an array of finite numbers") { value in
      value.array.flatMap { Self.all($0.map(Self.finite)) }
    }
  }

  /// An array of strings, or nil if no such key is present.
  public func optionalTexts(_ keys: String...) throws(ModelError) -> [String]? {
    try optional(keys, "an array of strings") { value in
      value.array.flatMap { Self.all($0.map(\.string)) }
    }
  }

  /// The values, or nil if any of them is nil.
  private static func all<T>(_ values: [T?]) -> [T]? {
    let present = values.compactMap { $0 }
    return present.count == values.count ? present : nil
  }

  /// A Boolean with a default.
  public func flag(_ keys: String..., default fallback: Bool) throws(ModelError) -> Bool {
    try optional(keys, "true or false") { $0.bool } ?? fallback
  }

  /// A Boolean for which null means false; `absent` if there is no such key.
  public func nullableFlag(_ key: String, absent fallback: Bool) throws(ModelError) -> Bool {
    try flag(key, default: fallback && !mentions(key))
  }

  /// A string that must be present unless it has a default.
  public func text(_ keys: String..., default fallback: String? = nil) throws(ModelError) -> String
  {
    try require(try optional(keys, "a string") { $0.string } ?? fallback, keys)
  }

  /// A string, or nil if no such key is present.
  public func optionalText(_ keys: String...) throws(ModelError) -> String? {
    try optional(keys, "a string") { $0.string }
  }

  /// An object as a configuration of its own, or nil if no such key is present.
  public func optionalObject(_ keys: String...) throws(ModelError) -> Configuration? {
    guard let (key, _) = value(keys) else { return nil }
    let object = try optional(keys, "an object") { $0.object }
    return object.map { object in Configuration(file: "\(file), \(spelled(key))", object: object) }
  }

  /// Throws `ModelError.badKey` unless `condition` is true.
  public func check(_ condition: Bool, _ key: String, _ reason: String) throws(ModelError) {
    guard condition else { throw .badKey(file: file, key: spelled(key), reason: reason) }
  }

  /// Throws `ModelError.unsupportedKey`, with the key's value, unless `condition` is true.
  public func checkSupported(
    _ condition: Bool, _ key: String, _ reason: String
  ) throws(ModelError) {
    guard !condition else { return }
    throw .unsupportedKey(
      file: file, key: spelled(key), value: lookup(key)?.shown ?? "absent", reason: reason)
  }

  /// Throws `ModelError.unsupportedKey` if a key that changes the mathematics of some model differs from its neutral
  /// value and this family has not read it.
  public func refuseUnread() throws(ModelError) {
    for (key, neutral) in Self.influential where !isRead(key) {
      guard let value = lookup(key), !neutral(value),
        !value.isNull || Self.meaningfulNulls.contains(key)
      else { continue }
      throw .unsupportedKey(
        file: file, key: spelled(key), value: value.shown,
        reason: "this family has no such option")
    }
  }

  /// Whether a key was read, or all keys of the file that replace it.
  private func isRead(_ key: String) -> Bool {
    read.contains(key) || keys[key].map { $0.allSatisfy(read.contains) } ?? false
  }

  /// Keys for which null differs from absence: they have no default, and null counts as false.
  private static let meaningfulNulls: Set = ["is_causal"]

  /// Keys of published configurations that change what a block computes, each with a test for its neutral values.
  /// `KeyTests` compares the list with the reference implementation.
  private static let influential: [(String, @Sendable (JSONValue) -> Bool)] = {
    let off: @Sendable (JSONValue) -> Bool = { $0.bool == false || $0.double == 0 }
    let one: @Sendable (JSONValue) -> Bool = { $0.double == 1 }
    let never: @Sendable (JSONValue) -> Bool = { _ in false }
    let empty: @Sendable (JSONValue) -> Bool = {
      $0.array?.isEmpty == true || $0.object?.members.isEmpty == true
    }
    let full: @Sendable (JSONValue) -> Bool = {
      $0.array?.allSatisfy { $0.string == "full_attention" } == true
    }
    return [
      ("attention_bias", off), ("mlp_bias", off), ("use_bias", off), ("bias", off),
      ("qkv_bias", off), ("use_qkv_bias", off), ("use_qk_norm", off), ("qk_layernorm", off),
      ("qk_norm", off), ("attn_logit_softcapping", never), ("final_logit_softcapping", never),
      ("query_pre_attn_scalar", never), ("attention_multiplier", never),
      ("embedding_multiplier", one), ("residual_multiplier", one), ("logits_scaling", one),
      ("logit_scale", one), ("scale_emb", one), ("scale_depth", never), ("clip_qkv", never),
      ("alibi", off), ("parallel_attn", off), ("use_parallel_residual", off),
      ("partial_rotary_factor", one), ("rotary_pct", one), ("sliding_window", never),
      ("use_sliding_window", off), ("num_local_experts", one), ("num_experts", one),
      ("no_rope_layers", empty), ("layer_types", full), ("lm_head_bias", off),
      ("use_bidirectional_attention", off), ("quantization_config", never),
      ("scale_attn_by_inverse_layer_idx", off), ("scale_attn_weights", { $0.bool == true }),
      ("apply_residual_connection_post_layernorm", off), ("rope_scaling", never),
      ("rope_parameters", never), ("is_decoder", off), ("add_cross_attention", off),
      ("is_causal", { $0.bool == true }),
      // Rotary parameters by kind of layer.
      ("full_attention", never), ("sliding_attention", never),
      ("llama_4_scaling_beta", off),
      // The names that GGUF uses.
      ("attention.scale", never), ("embedding_scale", one), ("residual_scale", one),
      ("attention.output_scale", one), ("attention.temperature_length", off),
      ("attention.temperature_scale", off), ("attention.causal", { $0.bool == true }),
      ("attention.sliding_window", off), ("attention.sliding_window_pattern", never),
      ("attention.shared_kv_layers", off), ("attention.clamp_kqv", off),
      ("attention.max_alibi_bias", off), ("rope.freq_base_swa", never),
      ("rope.scaling.attn_factor", one), ("rope.scaling.yarn_ext_factor", one),
      ("rope.scaling.yarn_attn_factor", one), ("rope.scaling.yarn_log_multiplier", off),
      ("expert_count", off), ("expert_shared_count", off), ("expert_weights_scale", one),
      ("expert_gating_func", one), ("expert_weights_norm", never), ("expert_group_count", one),
      ("interleave_moe_layer_step", one), ("attention.q_lora_rank", never),
      ("router_logit_softcapping", off), ("swin_norm", off),
      ("leading_dense_block_count", off), ("nextn_predict_layers", off), ("ssm.dt_b_c_rms", off),
    ]
  }()
}

extension JSONValue {
  /// Whether two values under two names of one key agree; arrays and objects are not compared.
  fileprivate func agrees(with other: JSONValue) -> Bool {
    switch (self, other) {
    case (.number, .number): double == other.double
    case (.string(let a), .string(let b)): a == b
    case (.bool(let a), .bool(let b)): a == b
    default: true
    }
  }

  /// The value as messages show it.
  var shown: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .number(.integer(let value)): "\(value)"
    case .number(.real(let value)): "\(value)"
    case .string(let value): "\"\(value)\""
    case .array(let values): "[… \(values.count) values]"
    case .object(let object): "{… \(object.members.count) keys}"
    }
  }
}
