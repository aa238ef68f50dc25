import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// What cannot be computed correctly is refused with an error that names its location.
@Suite struct RefusalTests {
  /// A configuration that must be refused: the change to a valid one, and what the error must name.
  struct Setting: Sendable, CustomTestStringConvertible {
    let key: String
    /// A JSON text; nil removes the key.
    let value: String?
    /// The key at which it is refused, if not the changed one.
    let place: String

    init(_ key: String, _ value: String?, at place: String? = nil) {
      (self.key, self.value, self.place) = (key, value, place ?? key)
    }

    var testDescription: String { "\(key): \(value ?? "absent")" }

    func draft(of name: String = "llama") throws -> Draft {
      var draft = try Draft(of: name)
      draft.configuration[key] = try value.map {
        try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
      }
      return draft
    }
  }

  static let sizes = [
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "head_dim", "max_position_embeddings",
  ].flatMap { key in
    ["0", "-1", "2.5", "\"24\"", "true", "[24]", "4294967296", "9223372036854775807"]
      .map { Setting(key, $0) }
  }

  static let kinds = [
    Setting("model_type", nil), Setting("model_type", "7"), Setting("model_type", "null"),
    Setting("rms_norm_eps", "0"), Setting("rms_norm_eps", "-1e-5"), Setting("rms_norm_eps", "\"\""),
    Setting("attention_bias", "1"), Setting("mlp_bias", "\"no\""),
    Setting("tie_word_embeddings", "0"),
    Setting("hidden_act", "3"), Setting("rope_parameters", "7"),
    // 3 key-value heads do not divide 4 heads, nor do 8.
    Setting("num_key_value_heads", "3"), Setting("num_key_value_heads", "8"),
    Setting("head_dim", "5"),
  ]

  static let rotary = [
    #"{"rope_theta": 0}"#: "rope_theta", #"{"rope_theta": -3}"#: "rope_theta",
    #"{"rope_theta": "big"}"#: "rope_theta",
    #"{"rope_type": "linear"}"#: "factor", #"{"rope_type": "linear", "factor": 0}"#: "factor",
    #"{"rope_type": "dynamic", "factor": "x"}"#: "factor",
    #"{"rope_type": "llama3", "factor": 8}"#: "low_freq_factor",
    #"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 3}"#:
      "high_freq_factor",
    #"{"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 0}"#:
      "original_max_position_embeddings",
    #"{"rope_type": "longrope", "factor": 2}"#: "short_factor",
    #"{"rope_type": "longrope", "short_factor": [1, 2, 3], "long_factor": [1, 2, "x"]}"#:
      "long_factor",
    #"{"rope_type": "longrope", "short_factor": [1, 2, 3], "long_factor": [1, 2]}"#: "long_factor",
    #"{"rope_type": "longrope", "long_factor": [1, 2, 3], "short_factor": [1, 0, 2]}"#:
      "short_factor",
    #"{"rope_type": "longrope", "factor": 4, "original_max_position_embeddings": 1}"#:
      "original_max_position_embeddings",
    #"{"rope_type": 3}"#: "rope_type",
  ].map { Setting("rope_parameters", $0, at: $1) }

  /// Keys that are missing, of the wrong type, or out of range.
  @Test(arguments: sizes + kinds + rotary) func badKey(_ setting: Setting) throws {
    let error = try #require(throws: ModelError.self) { try setting.draft().load() }
    guard case .badKey(let file, let key, _) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(file.contains("config.json"))
    #expect(key == setting.place)
    #expect(error.description.contains(file) && error.description.contains(setting.place))
  }

  static let unsupported = [
    Setting("hidden_act", "\"swiglu9\""),
    Setting("rope_parameters", #"{"rope_type": "proportional"}"#, at: "rope_type"),
    Setting("rope_scaling", #"{"type": "su", "factor": 2}"#, at: "rope_type"),
    Setting(
      "rope_parameters", #"{"rope_type": "linear", "factor": 2, "partial_rotary_factor": 0.5}"#,
      at: "partial_rotary_factor"),
    Setting(
      "rope_parameters", #"{"full_attention": {"rope_type": "default"}}"#, at: "full_attention"),
    Setting("attn_logit_softcapping", "50"), Setting("final_logit_softcapping", "30"),
    Setting("query_pre_attn_scalar", "256"), Setting("sliding_window", "4096"),
    Setting("residual_multiplier", "0.22"), Setting("embedding_multiplier", "12"),
    Setting("logits_scaling", "8"), Setting("attention_multiplier", "0.01"),
    Setting("use_qk_norm", "true"), Setting("partial_rotary_factor", "0.5"),
    Setting("num_local_experts", "8"), Setting("layer_types", #"["sliding_attention"]"#),
    Setting("clip_qkv", "8"), Setting("alibi", "true"), Setting("no_rope_layers", "[1, 0]"),
    Setting("quantization_config", #"{"quant_method": "aqlm"}"#, at: "quant_method"),
  ]

  /// Keys that ask for the mathematics of another model.
  @Test(arguments: unsupported) func unsupportedKey(_ setting: Setting) throws {
    let error = try #require(throws: ModelError.self) { try setting.draft().load() }
    guard case .unsupportedKey(let file, let key, _, _) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(file.contains("config.json"))
    #expect(key == setting.place)
    #expect(error.description.contains(file) && error.description.contains(setting.place))
  }

  /// The same keys at their neutral values change nothing.
  @Test(arguments: [
    Setting("attn_logit_softcapping", "null"), Setting("sliding_window", "null"),
    Setting("residual_multiplier", "1.0"), Setting("partial_rotary_factor", "1"),
    Setting("use_qk_norm", "false"), Setting("quantization_config", "null"),
    Setting("no_rope_layers", "[]"), Setting("head_dim", "null"), Setting("head_dim", nil),
    Setting("rope_scaling", "null"), Setting("layer_types", #"["full_attention"]"#),
    Setting("unheard_of", "[1, 2]"),
  ])
  func neutral(_ setting: Setting) throws {
    let expected = try Fixture(name: "llama", form: .folder).expected()
    let path = try Path<Double>(of: [expected.input], through: setting.draft().load())
    expectClose(try #require(path.logits).elements, try #require(expected.lastLogits), 1e-9)
  }

  /// A family's own keys are checked as well: type, range, and consistency.
  @Test(arguments: [
    ("mixtral", Setting("num_experts_per_tok", "6")),
    ("mixtral", Setting("num_local_experts", "0")),
    ("qwen2", Setting("layer_types", #"["full_attention"]"#)),
    ("qwen2", Setting("layer_types", #"["full_attention", 1, 2]"#)),
    ("qwen3-odd", Setting("use_sliding_window", "false", at: "sliding_window")),
    ("qwen3-odd", Setting("sliding_window", "0")), ("qwen3-odd", Setting("sliding_window", "null")),
    ("gemma", Setting("hidden_activation", "\"silu\"")),
    ("gemma2", Setting("attn_logit_softcapping", "0")),
    ("gemma2", Setting("final_logit_softcapping", "\"30\"")),
    ("gemma2", Setting("query_pre_attn_scalar", "-1")),
    ("gemma2", Setting("sliding_window", "null")),
    ("olmo", Setting("clip_qkv", "0")), ("olmo", Setting("clip_qkv", "[1]")),
    ("phi3", Setting("partial_rotary_factor", "1.5")),
    ("phi3", Setting("partial_rotary_factor", "0")),
  ])
  func badKey(of family: String, _ setting: Setting) throws {
    var draft = try setting.draft(of: family)
    // The older spelling of the rotary keys would conflict with these.
    if family == "phi3" { draft.configuration["rope_parameters"] = nil }
    let error = try #require(throws: ModelError.self) { try draft.load() }
    guard case .badKey(_, setting.place, _) = error else {
      Issue.record("\(error)")
      return
    }
  }

  /// A key that one family reads is refused by another that does not support it.
  @Test(arguments: [
    ("qwen2", Setting("layer_types", #"["chunked_attention", "", ""]"#)),
    ("qwen2", Setting("mlp_bias", "true")), ("qwen3", Setting("clip_qkv", "8")),
    ("gemma", Setting("use_bidirectional_attention", "true")),
    ("gemma", Setting("attn_logit_softcapping", "50")), ("gemma", Setting("sliding_window", "4")),
    ("gemma2", Setting("use_bidirectional_attention", "true")),
    ("olmo", Setting("sliding_window", "4")), ("olmo2", Setting("clip_qkv", "8")),
    ("phi3", Setting("lm_head_bias", "true")), ("phi3", Setting("attention_bias", "true")),
    (
      "phi3",
      Setting("rope_parameters", #"{"rope_type": "linear", "factor": 2}"#, at: "rope_type")
    ),
    ("mixtral", Setting("partial_rotary_factor", "0.5")), ("mixtral", Setting("mlp_bias", "true")),
  ])
  func unsupportedKey(of family: String, _ setting: Setting) throws {
    let error = try #require(throws: ModelError.self) { try setting.draft(of: family).load() }
    guard case .unsupportedKey(_, setting.place, _, _) = error else {
      Issue.record("\(error)")
      return
    }
  }

  /// Mistral's window is 4096 if a file does not mention it, and there is none if it is null.
  @Test func windowByDefault() throws {
    let windows = try [nil, "null", "7"].map { value in
      let model = try Setting("sliding_window", value).draft(of: "mistral").load()
      let mixer = try #require(model as? DecoderModel).blocks[0].mixer
      return try #require(mixer as? AttentionWeights).window
    }
    #expect(windows == [4096, nil, 7])
  }

  @Test(arguments: ["gpt_quux", " ", "Llama", "llama9"])
  func unknownArchitecture(_ name: String) throws {
    let error = try #require(throws: ModelError.self) {
      try Setting("model_type", "\"\(name)\"").draft().load()
    }
    guard case .unknownArchitecture(let file, name, let known) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(file.contains("config.json") && known.contains("llama") && known.contains("mistral"))
    for part in [file, name, "mistral"] { #expect(error.description.contains(part)) }
  }

  // MARK: Tensors

  /// A wrong number of blocks is noticed before memory is allocated for them.
  @Test func manyBlocks() throws {
    let error = try #require(throws: FileError.self) {
      try Setting("num_hidden_layers", "2147483648").draft().load()
    }
    #expect(error.description.contains("model.layers.3."))
  }

  /// Every tensor is refused with one row more.
  @Test(arguments: ["llama", "llama-biased"]) func wrongShape(_ name: String) throws {
    // The embedding determines its own number of rows; if the head's differs, the head is refused.
    let names = try Draft(of: name).tensors.map(\.entry.name)
    for tensor in names where tensor != "model.embed_tokens.weight" {
      var draft = try Draft(of: name)
      try draft.alter(tensor) { shape, numbers in
        numbers += numbers.prefix(numbers.count / shape[0])
        shape[0] += 1
      }
      try expectWrongShape(draft, tensor)
    }
  }

  private func expectWrongShape(_ draft: Draft, _ tensor: String) throws {
    let error = try #require(throws: FileError.self) { try draft.load() }
    guard case .wrongShape(let file, tensor, _, _) = error else {
      Issue.record("\(tensor): \(error)")
      return
    }
    #expect(error.description.contains(file) && error.description.contains(tensor))
  }

  /// Biases, or whole blocks, that the configuration does not mention would be left out of the computation.
  @Test(arguments: [
    Setting("attention_bias", "false", at: "proj.bias"),
    Setting("mlp_bias", "false", at: "proj.bias"),
    Setting("num_hidden_layers", "1", at: "layers.1."),
  ])
  func unreadTensor(_ setting: Setting) throws {
    let error = try #require(throws: ModelError.self) {
      try setting.draft(of: "llama-biased").load()
    }
    guard case .unreadTensor(let file, let tensor) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(tensor.contains(setting.place) && error.description.contains(tensor))
    #expect(file.hasSuffix("/model.safetensors") && error.description.hasPrefix(file))
  }

  /// The file may also contain tables computed from the configuration.
  @Test func computedTensor() throws {
    var draft = try Draft(of: "llama")
    let name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    draft.tensors.append((.init(name: name, shape: [3]), [1, 2, 3]))
    _ = try draft.load()
  }

  /// NaN or infinity in a norm or a bias is found when the model is opened.
  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func vectorNotFinite(_ value: Float) throws {
    for tensor in [
      "model.norm.weight", "model.layers.1.input_layernorm.weight",
      "model.layers.0.post_attention_layernorm.weight", "model.layers.1.self_attn.k_proj.bias",
      "model.layers.0.mlp.down_proj.bias",
    ] {
      var draft = try Draft(of: "llama-biased")
      try draft.alter(tensor) { $1[5] = value }
      expectNotFinite(tensor) { try draft.load() }
    }
  }

  /// NaN or infinity in a matrix is found when its block is passed, not earlier. (A bounded activation makes infinity
  /// finite again; NaN passes through all of them.)
  @Test(arguments: [
    (Float.nan, "silu"), (.nan, "relu"), (.nan, "relu2"), (.nan, "gelu"), (.nan, "gelu_new"),
    (.nan, "quick_gelu"), (.nan, "tanh"), (.nan, "sigmoid"), (.infinity, "silu"),
    (-.infinity, "silu"),
  ])
  func matrixNotFinite(_ value: Float, _ activation: String) throws {
    for name in ["q", "k", "v", "o", "gate", "up", "down"] {
      let part = name.count == 1 ? "self_attn" : "mlp"
      let tensor = "model.layers.1.\(part).\(name)_proj.weight"
      var draft = try Draft(of: "llama")
      draft.configuration["hidden_act"] = activation
      try draft.alter(tensor) { $1[7] = value }
      let model = try draft.load()
      var hidden = try HiddenStates<Float>([[3, 4, 5], [6]], in: model)
      _ = try hidden.advance(through: model)
      expectNotFinite(tensor) { try hidden.advance(through: model) }
    }
  }

  /// A row of the embedding is checked when its token occurs.
  @Test func embeddingNotFinite() throws {
    var draft = try Draft(of: "llama")
    try draft.alter("model.embed_tokens.weight") { $1[9 * 24] = .nan }
    let model = try draft.load()
    _ = try HiddenStates<Float>([[8, 10]], in: model)
    expectNotFinite("model.embed_tokens.weight") {
      try HiddenStates<Float>([[8], [9]], in: model)
    }
  }

  /// States that overflow although the weights are finite are distinguished from damage.
  @Test func overflow() throws {
    var draft = try Draft(of: "llama")
    try draft.alter("model.layers.1.mlp.down_proj.weight") { $1 = $1.map { $0 < 0 ? -3e38 : 3e38 } }
    let model = try draft.load()
    var hidden = try HiddenStates<Float>([[3, 4, 5]], in: model)
    _ = try hidden.advance(through: model)
    #expect(throws: ModelError.stateNotFinite(layer: 2)) { try hidden.advance(through: model) }
    // Double precision has enough range.
    var wide = try HiddenStates<Double>([[3, 4, 5]], in: model)
    for _ in 0..<3 { _ = try wide.advance(through: model) }
  }

  // MARK: Prompts

  @Test func prompts() throws {
    let model = try Fixture(name: "llama", form: .folder).load()
    for id in [61, -1, .max, .min] {
      let error = ModelError.tokenOutOfRange(id: id, vocabulary: 61)
      #expect(throws: error) { try HiddenStates<Float>([[0], [1, id]], in: model) }
      #expect(error.description.contains("\(id)") && error.description.contains("60"))
    }
    #expect(throws: ModelError.emptyPrompt) { try HiddenStates<Float>([[1], []], in: model) }
    #expect(throws: ModelError.emptyPrompt) { try HiddenStates<Float>([], in: model) }
    let error = ModelError.promptTooLong(tokens: 65, limit: 64)
    #expect(throws: error) {
      try HiddenStates<Float>([[1], Array(repeating: 1, count: 65)], in: model)
    }
    #expect(error.description.contains("65") && error.description.contains("64"))
    _ = try HiddenStates<Float>([Array(repeating: 60, count: 64), [0]], in: model)
  }
}

/// The error for this tensor names its file.
func expectNotFinite<T>(
  _ name: String, _ body: () throws -> T, sourceLocation: SourceLocation = #_sourceLocation
) {
  let error = #expect(throws: ModelError.self, sourceLocation: sourceLocation) { try body() }
  guard case .weightNotFinite(let file, name)? = error else {
    Issue.record("\(error.map { "\($0)" } ?? "no error")", sourceLocation: sourceLocation)
    return
  }
  #expect(file.hasSuffix("/model.safetensors"), sourceLocation: sourceLocation)
  let message = error.map { "\($0)" } ?? ""
  #expect(message.hasPrefix(file) && message.contains(name), sourceLocation: sourceLocation)
}
