import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// A fixture's GGUF file and its folder are one model, whatever the order in which each stores its numbers.
struct GGUFTwin: Sendable, CustomTestStringConvertible {
  let name: String
  /// `altered.gguf` has the weights of a folder whose config.json has settings that GGUF lacks; altered.json adapts
  /// it.
  let isAltered: Bool

  var testDescription: String { name }

  static let all = Fixture.names.flatMap { name in
    [false, true].map { GGUFTwin(name: name, isAltered: $0) }.filter { twin in
      (try? twin.path).map(FileManager.default.fileExists) ?? false
    }
  }

  var path: String {
    get throws { try fixturePath("\(name)/\(isAltered ? "altered" : "model").gguf") }
  }

  func load() throws -> any Transformer {
    try loadTransformer(CheckpointDirectory(opening: path))
  }

  func loadFolder() throws -> any Transformer {
    var draft = try Draft(of: name)
    if isAltered {
      let data = try Data(contentsOf: URL(filePath: fixturePath("\(name)/altered.json")))
      let changes = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
      draft.configuration.merge(changes) { $1 }
    }
    return try draft.load()
  }
}

@Suite struct GGUFTwinTests {
  @Test func twins() {
    let types = Set(GGUFTwin.all.map { $0.name.prefix { $0 != "-" } })
    #expect(types.count >= 20)
  }

  /// The weights and the arithmetic are the same; GGUF stores the ε of norms, θ and the rotary factors in float32,
  /// with errors of 6e-8 each, and Gemma's gains are rounded once more when 1 is added.
  @Test(arguments: GGUFTwin.all) func agrees(_ twin: GGUFTwin) throws {
    let expected = try Fixture(name: twin.name, form: .folder).expected()
    let models = (try twin.load(), try twin.loadFolder())
    let (here, there) = (
      try spectra(models.0, expected), try spectra(models.1, expected)
    )
    for (l, (x, y)) in zip(here.states, there.states).enumerated() {
      expectClose(x, y, 1e-6, "state \(l)")
    }
    for (l, (x, y)) in zip(here.sigma, there.sigma).enumerated() {
      expectClose(x, y, 1e-6, "σ \(l)")
    }
    // A head for another task is left out.
    if let x = here.logits { expectClose(x, try #require(there.logits), 1e-6, "logits") }
    let encoders = ["bert", "modernbert", "nomic_bert"]
    #expect((here.logits == nil) == encoders.contains(models.0.description.family))
    #expect(models.0.description.residual == models.1.description.residual)
    #expect(models.0.description.positions == models.1.description.positions)
    #expect(models.0.description.vocabulary == models.1.description.vocabulary)
  }

  /// The names of a block's tensors decide what is read ahead of it and dropped after it.
  @Test(arguments: GGUFTwin.all) func tensorsOfBlocks(_ twin: GGUFTwin) throws {
    let model = try twin.load()
    for l in 0..<model.description.layers {
      let names = model.tensorNames(ofBlock: l)
      let stored = try GGUFFile(twin.path).tensors.map(\.name).filter { name in
        ["blk.\(l).", "dec.blk.\(l)."].contains { name.hasPrefix($0) }
      }
      #expect(names.count >= 3 && Set(names) == Set(stored))
    }
  }

  /// If one key after another is missing or hostile, the result is a model or an error that says what is wrong, never
  /// a crash.
  @Test(arguments: GGUFTwin.all) func hostileMetadata(_ twin: GGUFTwin) throws {
    let file = try GGUFFile(twin.path)
    let architecture = try #require(file["general.architecture"]?.string)
    let keys = [
      "block_count", "context_length", "embedding_length", "feed_forward_length",
      "decoder_block_count", "attention.head_count", "attention.head_count_kv",
      "attention.key_length", "attention.value_length", "attention.layer_norm_epsilon",
      "attention.layer_norm_rms_epsilon", "attention.sliding_window", "attention.clamp_kqv",
      "attention.max_alibi_bias", "attention.relative_buckets_count", "attention.causal",
      "rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scaling.factor",
      "rope.scaling.original_context_length", "rope.scaling.attn_factor", "expert_count",
      "expert_used_count", "tensor_data_layout", "attn_logit_softcapping",
      "use_parallel_residual", "decoder_start_token_id", "vocab_size",
      "expert_feed_forward_length", "expert_shared_feed_forward_length", "expert_shared_count",
      "expert_group_count", "expert_group_used_count", "expert_weights_scale",
      "expert_weights_norm", "expert_gating_func", "leading_dense_block_count",
      "nextn_predict_layers", "interleave_moe_layer_step", "attention.kv_lora_rank",
      "attention.q_lora_rank", "attention.key_length_mla", "attention.value_length_mla",
      "rope.scaling.yarn_log_multiplier", "attention.key_length_swa",
      "attention.sliding_window_pattern", "attention.shared_kv_layers",
      "embedding_length_per_layer_input", "rope.dimension_count_swa",
    ]
    let recurrent = [
      "rope.scaling.finetuned", "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size",
      "ssm.time_step_rank", "ssm.group_count", "ssm.dt_b_c_rms", "shortconv.l_cache",
      "full_attention_interval", "attention.recurrent_layers", "moe_latent_size",
    ]
    let isRecurrent = ["ssm.conv_kernel", "shortconv.l_cache"].contains {
      file["\(architecture).\($0)"] != nil
    }
    let values: [JSONValue?] =
      [nil, .array([]), .bool(true), .string("yarn"), .string("longrope")]
      + [0, -1, 1, 1 << 31, 1 << 40, .max, .min].map { .number(.integer($0)) }
      + [0.5, -.infinity, .nan, 1e300, 5e-324].map { .number(.real($0)) }
    for key in keys + (isRecurrent ? recurrent : []) {
      for value in values {
        let metadata = GGUFMetadata(
          file: "model.gguf", architecture: architecture, tensors: file
        ) { $0 == key ? value : file["\(architecture).\($0)"]?.json }
        do {
          _ = try loadTransformer(ModelFile(metadata))
        } catch let error as ModelError {
          #expect(!error.description.isEmpty)
        } catch let error as FileError {
          #expect(!error.description.isEmpty)
        }
      }
    }
  }

  private func spectra(
    _ model: some Transformer, _ expected: Expected
  ) throws -> (states: [[Double]], sigma: [[Double]], logits: [Double]?) {
    let path = try Path<Double>(of: [expected.input], through: model)
    let last = TokenSelection(expected.last)
    let sigma = try (0..<model.description.layers).map { l in
      try residualJacobian(
        model, at: path.points[l], [(0, last)], site: .block, normed: false
      ).materialized().singularValueDecomposition().values
    }
    return (path.states.map { $0[0].elements }, sigma, path.logits?.elements)
  }
}
