import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// A family refuses what it cannot compute correctly, and every tensor of every fixture is checked.
@Suite struct FamilyRefusalTests {
  /// A change of a fixture's configuration, by dotted keys; nil removes a key.
  struct Change: Sendable, CustomTestStringConvertible {
    let fixture: String
    let key: String
    let json: String?

    init(_ fixture: String, _ key: String, _ json: String?) {
      (self.fixture, self.key, self.json) = (fixture, key, json)
    }

    var testDescription: String { "\(fixture), \(key): \(json ?? "absent")" }

    func draft() throws -> Draft {
      var draft = try Draft(of: fixture)
      let value = try json.map {
        try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
      }
      let path = key.split(separator: ".").map(String.init)
      if path.count == 2 {
        var inner = try #require(draft.configuration[path[0]] as? [String: Any])
        inner[path[1]] = value
        draft.configuration[path[0]] = inner
      } else {
        draft.configuration[key] = value
      }
      return draft
    }

    var lastKey: String { key.split(separator: ".").last.map(String.init) ?? key }
  }

  static let unsupported = [
    Change("gpt2", "add_cross_attention", "true"),
    Change("gpt2", "activation_function", "\"xielu\""),
    Change("gpt_neo", "scale_attn_weights", "false"), Change("gptj", "scale_attn_weights", "false"),
    Change("gpt_neox", "sliding_window", "5"), Change("phi", "attention_bias", "true"),
    Change("opt", "use_qk_norm", "true"), Change("bloom", "alibi", "true"),
    Change("mpt", "no_bias", "false"), Change("mpt", "expansion_ratio", "3"),
    Change("mpt", "norm_type", "\"rmsnorm\""), Change("mpt", "logit_scale", "0.5"),
    Change("mpt", "attn_config.alibi", "false"), Change("mpt", "attn_config.alibi_bias_max", "16"),
    Change("mpt", "attn_config.attn_type", "\"multiquery_attention\""),
    Change("mpt", "attn_config.prefix_lm", "true"), Change("mpt", "attn_config.qk_ln", "true"),
    Change("falcon", "apply_residual_connection_post_layernorm", "true"),
    Change("falcon", "rope_parameters.partial_rotary_factor", "0.5"),
    Change("stablelm", "rotary_scaling_factor", "2"), Change("glm", "use_qk_norm", "true"),
    Change("arcee", "hidden_act", "\"xielu\""), Change("apertus", "hidden_act", "\"other\""),
    Change("cohere2", "rotary_pct", "0.5"),
    Change("cohere2-odd", "layer_types", "[\"full_attention\", \"chunked_attention\"]"),
    Change("granite", "sliding_window", "5"), Change("starcoder2", "use_qk_norm", "true"),
    Change("stablelm", "rope_parameters.rope_type", "\"proportional\""),
  ]

  /// Keys that ask for the mathematics of another model.
  @Test(arguments: unsupported) func unsupportedKey(_ change: Change) throws {
    let error = try #require(throws: ModelError.self) { try change.draft().load() }
    guard case .unsupportedKey(let file, change.lastKey, _, _) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(error.description.contains(file) && error.description.contains(change.lastKey))
  }

  static let bad = [
    // 3 heads do not divide a width of 20.
    Change("gpt2", "n_head", "3"), Change("gpt2", "n_positions", "0"),
    Change("gpt2", "head_dim", "7"), Change("gpt2", "layer_norm_epsilon", "0"),
    Change("gpt2", "scale_attn_weights", "1"),
    Change("gpt_neo", "attention_types", "[[[\"global\"], 2]]"),
    Change("gpt_neo", "attention_types", "[[[\"global\"], 1000000000000]]"),
    Change("gpt_neo", "attention_types", "[[[\"global\", \"wide\"], 1], [[\"local\"], 1]]"),
    Change("gpt_neo", "attention_types", "[[\"global\", 3]]"),
    Change("gpt_neo", "attention_types", "7"), Change("gpt_neo", "attention_types", nil),
    Change("gpt_neox", "rope_parameters.partial_rotary_factor", "1.5"),
    // 0.05 of a head of 16 is less than one feature.
    Change("gpt_neox", "rope_parameters.partial_rotary_factor", "0.05"),
    // With one or three rotated features, the reference computes something else, or nothing.
    Change("stablelm", "rope_parameters.partial_rotary_factor", "0.11"),
    Change("stablelm", "rope_parameters.partial_rotary_factor", "0.31"),
    Change("phi", "rope_parameters.partial_rotary_factor", "0.11"),
    Change("phi-normed", "rope_parameters.partial_rotary_factor", "0.4"),
    Change("gptj", "rotary_dim", "3"), Change("gptj", "rotary_dim", "10"),
    Change("gptj", "rotary_dim", nil),
    Change("phi-normed", "num_key_value_heads", "2"), Change("opt", "word_embed_proj_dim", "-1"),
    Change("mpt", "attn_config.clip_qkv", "-1"), Change("mpt", "attn_config", "[]"),
    Change("falcon-two-norms", "num_kv_heads", "3"),
    Change("falcon-two-norms", "parallel_attn", "false"),
    Change("falcon-two-norms", "num_ln_in_parallel_attn", "3"),
    Change("falcon", "num_ln_in_parallel_attn", "2"), Change("granite", "logits_scaling", "0"),
    Change("cohere2", "sliding_window", "null"), Change("cohere", "num_key_value_heads", "3"),
    Change("hunyuan_v1_dense", "rope_parameters.alpha", "-1"), Change("codegen", "rotary_dim", "3"),
    Change("helium", "head_dim", "6"), Change("nanochat", "final_logit_softcapping", "-1"),
    Change("persimmon", "num_attention_heads", "3"), Change("apertus", "rms_norm_eps", "0"),
    Change("stablelm", "num_key_value_heads", nil),
  ]

  /// Keys that are missing without a suitable default, of the wrong type, or out of range.
  @Test(arguments: bad) func badKey(_ change: Change) throws {
    let error = try #require(throws: ModelError.self) { try change.draft().load() }
    guard case .badKey(let file, let key, _) = error else {
      Issue.record("\(error)")
      return
    }
    // The size of a head and its rotated share are checked together, and so are heads and the width.
    let place = ["partial_rotary_factor": "head_dim", "n_head": "num_attention_heads"]
    #expect([change.lastKey, place[change.lastKey]].contains(key))
    #expect(error.description.contains(file) && error.description.contains(key))
  }

  /// Whether a tensor is used: poolers and classifiers come after what is computed here.
  private static func isNeeded(_ tensor: String) -> Bool {
    ![
      "pooler.", "classifier.", "embeddings.mask_token", "head.probe", "head.attention.",
      "head.layernorm.", "head.mlp.",
    ].contains { tensor.hasPrefix($0) }
  }

  /// Whether a tensor may be absent: a head that the configuration ties, the tensor by which a head of an encoder is
  /// recognised, a bias that defaults to 0, and words of which there are other copies.
  private static func mayBeAbsent(_ tensor: String, in name: String) -> Bool {
    let optional = [
      "t5-gated": ["lm_head.weight"], "bart": ["final_logits_bias"],
      "bart-bare": ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"],
    ]
    return optional[name]?.contains(tensor) == true
      || [
        "cls.predictions.transform.dense.weight", "lm_head.dense.weight", "vocab_transform.weight",
        "generator_predictions.dense.weight", "head.dense.weight",
      ].contains(tensor)
  }

  /// The name that errors use for a tensor with two names.
  private static func otherName(of tensor: String) -> String? {
    tensor == "embed_out.weight"
      ? "lm_head.weight"
      : tensor.replacing(".gate.moe_statics.", with: ".moe_statics.")
        .replacing(/experts\.(up|down)_proj$/) { "experts.0.\($0.1)_proj.weight" }
  }

  /// Every tensor is needed.
  @Test(arguments: Fixture.names) func missingTensor(_ name: String) throws {
    let whole = try Draft(of: name)
    for (i, tensor) in whole.tensors.enumerated()
    where Self.isNeeded(tensor.entry.name) && !Self.mayBeAbsent(tensor.entry.name, in: name) {
      var draft = whole
      draft.tensors.remove(at: i)
      let error = try #require(throws: FileError.self, "\(tensor.entry.name)") {
        try draft.load()
      }
      guard case .missingTensor(_, let missing) = error else {
        Issue.record("\(error)")
        continue
      }
      let name = tensor.entry.name
      #expect([name, Self.otherName(of: name)].contains(missing))
    }
  }

  /// A matrix in place of a vector, or the reverse, is refused.
  @Test(arguments: Fixture.names) func wrongShape(_ name: String) throws {
    let unchanged = try Draft(of: name)
    for entry in unchanged.tensors.map(\.entry) where Self.isNeeded(entry.name) {
      let tensor = entry.name
      // A matrix of one row is as good as the row, and the shape of unused copies of the words is not checked.
      if entry.shape.first == 1 && entry.shape.count == 2
        || tensor == "shared.weight" && name == "bart-bare"
      {
        continue
      }
      var draft = unchanged
      try draft.alter(tensor) { shape, _ in
        shape = shape.count == 1 ? [1, shape[0]] : [shape.reduce(1, *)]
      }
      let error = try #require(throws: FileError.self) { try draft.load() }
      guard case .wrongShape(_, tensor, _, _) = error else {
        Issue.record("\(tensor): \(error)")
        continue
      }
    }
  }

  /// A wrong number of blocks is noticed before memory is allocated for them, and so are blocks beyond the number.
  @Test(arguments: Fixture.names) func numberOfBlocks(_ name: String) throws {
    let keys = [
      "decoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers",
    ]
    for count in [1, 2_147_483_648] {
      var draft = try Draft(of: name)
      // If a list has an entry for each block, the number of blocks cannot be wrong.
      guard draft.configuration["layers_block_type"] == nil else { return }
      let key = try #require(keys.first { draft.configuration[$0] != nil })
      if draft.configuration[key] as? Int == count { continue }
      draft.configuration[key] = count
      let mixed =
        (draft.configuration["layer_types"] as? [String])?.contains {
          $0 == "conv" || $0 == "linear_attention"
        } == true || draft.configuration["per_layer_config"] != nil
      draft.configuration["layer_types"] = nil
      draft.configuration["attention_layers"] = nil
      if draft.configuration["attention_types"] != nil {
        draft.configuration["attention_types"] = [[["local"], count]]
      }
      let error = try #require(throws: (any Error).self) { try draft.load() }
      #expect(error is ModelError || error is FileError)
      // Without the kinds of its blocks, a block may be read as another kind; a table of all blocks' inputs also
      // tells.
      let tells = [".1.", "per_layer"].contains { "\(error)".contains($0) }
      #expect(count > 1 || mixed || tells)
    }
  }
}
