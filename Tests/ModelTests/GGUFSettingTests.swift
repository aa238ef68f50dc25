import Files
import Checkpoint
import Foundation
import Testing

@testable import Model

/// The metadata of a GGUF file has the meaning that llama.cpp gives it.
@Suite struct GGUFSettingTests {
  /// The frequencies of the llama fixture's file with additional metadata.
  private func frequencies(_ extra: [String: JSONValue]) throws -> [Double] {
    try sizes(extra).rotary.frequencies(length: 9).values
  }

  private func sizes(_ extra: [String: JSONValue]) throws -> DecoderSettings {
    let configuration = try configuration(
      "llama", #require(FamilyDefinition.llama.gguf.first), extra)
    let settings = try DecoderSettings(configuration)
    _ = try configuration.flag("attention_bias", default: false)
    try configuration.refuseUnread()
    return settings
  }

  /// The configuration of a fixture's file with additional metadata; `.null` removes a key.
  private func configuration(
    _ name: String, _ dialect: GGUFDialect, _ extra: [String: JSONValue]
  ) throws -> Configuration {
    try metadata(name, dialect, extra).configuration(dialect)
  }

  private func metadata(
    _ name: String, _ dialect: GGUFDialect, _ extra: [String: JSONValue]
  ) throws -> GGUFMetadata {
    let path = try ["model", "altered"].map { try fixturePath("\(name)/\($0).gguf") }
      .first(where: FileManager.default.fileExists)
    let file = try GGUFFile(#require(path))
    return GGUFMetadata(
      file: "model.gguf", architecture: dialect.architecture, tensors: file
    ) { key in
      if let value = extra[key] { return value.isNull ? nil : value }
      return file["\(dialect.architecture).\(key)"]?.json
    }
  }

  /// A factor without a type is linear, also under the older key; 0 and type none mean no factor.
  @Test func scaling() throws {
    let (plain, two) = (try frequencies([:]), JSONValue.number(.real(2)))
    let halved = plain.map { $0 / 2 }
    #expect(try frequencies(["rope.scaling.factor": two]) == halved)
    #expect(try frequencies(["rope.scale_linear": two]) == halved)
    #expect(
      try frequencies(["rope.scaling.type": .string("linear"), "rope.scaling.factor": two])
        == halved)
    #expect(
      try frequencies(["rope.scaling.type": .string("none"), "rope.scaling.factor": two]) == plain)
    #expect(try frequencies(["rope.scaling.factor": .number(.real(0))]) == plain)
    #expect(try frequencies(["rope.scaling.type": .string("linear")]) == plain)
  }

  /// YaRN as in the reference, where llama.cpp agrees with it.
  @Test func yarn() throws {
    let scaling: [String: JSONValue] = [
      "rope.scaling.type": .string("yarn"), "rope.scaling.factor": .number(.real(4)),
      "rope.scaling.original_context_length": .number(.integer(16)),
    ]
    guard
      case .yarn(let factor, let fast, let slow, let trained, let scale, let truncate) =
        try sizes(scaling).rotary.scaling
    else {
      Issue.record("not yarn")
      return
    }
    #expect(factor == 4 && fast == 32 && slow == 1 && trained == 16 && truncate)
    #expect(abs(scale - 1.138629436111989) < 1e-15)
  }

  @Test(arguments: [
    ("rope.scaling.type", JSONValue.string("dynamic")), ("rope.scaling.type", .bool(true)),
    ("rope.dimension_count", .number(.integer(4))), ("rope.freq_base", .number(.real(.infinity))),
    ("attention.layer_norm_rms_epsilon", .number(.real(.nan))),
    ("attention.layer_norm_rms_epsilon", .null), ("block_count", .null),
    ("context_length", .null), ("attention.head_count", .null), ("embedding_length", .bool(true)),
    ("rope.scaling.factor", .number(.real(-2))), ("attention.head_count_kv", .number(.integer(3))),
    ("attention.head_count_kv", .array([])), ("feed_forward_length", .array([])),
    ("attention.value_length", .number(.integer(5))),
    ("attention.head_count", .number(.integer(0))),
    ("block_count", .number(.integer(0))), ("logit_scale", .number(.real(0.1))),
    ("attention.scale", .number(.real(0.1))), ("residual_scale", .number(.real(0.2))),
    ("embedding_scale", .number(.real(12))), ("attention.causal", .bool(false)),
    ("attention.clamp_kqv", .number(.real(3))), ("attention.max_alibi_bias", .number(.real(8))),
    ("expert_count", .number(.integer(8))), ("attention.sliding_window_pattern", .array([])),
    ("rope.scaling.yarn_attn_factor", .number(.real(2))),
  ])
  func refused(_ key: String, _ value: JSONValue) throws {
    let error = try #require(throws: ModelError.self) { try sizes([key: value]) }
    // A factor is reported among the parameters that it belongs to.
    let place = key == "rope.scaling.factor" ? "llama.rope.scaling" : "llama.\(key)"
    #expect(error.description.contains("model.gguf"))
    #expect(error.description.contains(place), "\(error)")
  }

  /// Equal entries for all blocks count as one value; other lengths and differing entries are refused.
  @Test func arraysOfEqualEntries() throws {
    func array(_ values: Int...) -> JSONValue { .array(values.map { .number(.integer($0)) }) }
    let plain = try sizes([:])
    let same = try sizes([
      "feed_forward_length": array(44, 44, 44), "attention.head_count": array(4, 4, 4),
      "attention.head_count_kv": array(2, 2, 2),
    ])
    #expect(plain.heads == same.heads && plain.keyValueHeads == same.keyValueHeads)
    #expect(plain.feedForwardWidth == same.feedForwardWidth && same.headDimension == 6)
    for wrong in [array(2, 2), array(2, 2, 4), array()] {
      let error = #expect(throws: ModelError.self) { try sizes(["attention.head_count_kv": wrong]) }
      #expect(error?.description.contains("head_count_kv") == true)
    }
  }

  /// Zero means that there is none.
  @Test(arguments: ["expert_count", "attention.clamp_kqv", "attention.sliding_window"])
  func none(_ key: String) throws { _ = try sizes([key: .number(.integer(0))]) }

  /// Families that llama.cpp does not support are refused for that reason, all others by name.
  @Test(arguments: [
    ("gpt_neo", "no such architecture"), ("opt", "no such architecture"),
    ("vit", "no such architecture"), ("rwkv7", "is not known"), ("gpt_neox", "is not known"),
  ])
  func unknownArchitecture(_ name: String, _ reason: String) throws {
    func number<T: FixedWidthInteger>(_ value: T) -> Data {
      withUnsafeBytes(of: value.littleEndian) { Data($0) }
    }
    func text(_ value: String) -> Data { number(UInt64(value.utf8.count)) + Data(value.utf8) }
    // Version 3, no tensors, one key with a string.
    let file =
      Data("GGUF".utf8) + number(UInt32(3)) + number(UInt64(0)) + number(UInt64(1))
      + text("general.architecture") + number(UInt32(8)) + text(name)
    let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).gguf")
    try file.write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    let error = try #require(throws: ModelError.self) {
      try loadTransformer(CheckpointDirectory(opening: url.path()))
    }
    #expect(error.description.contains("\"\(name)\"") && error.description.contains(reason))
    #expect(error.description.contains(url.lastPathComponent))
  }

  /// The largest Gemma 2 divides its scores by √(width / heads), the others by the root of the head size.
  @Test func gemma2Scale() throws {
    func scale(_ blocks: Int) throws -> Double {
      let metadata = GGUFMetadata(
        file: "model.gguf", architecture: "gemma2",
        tensors: try GGUFFile(
          fixturePath("gemma2/altered.gguf"))
      ) {
        [
          "block_count": .number(.integer(blocks)), "embedding_length": .number(.integer(4608)),
          "context_length": .number(.integer(8192)), "attention.head_count": .number(.integer(32)),
          "feed_forward_length": .number(.integer(36864)),
          "attention.key_length": .number(.integer(128)),
          "attention.layer_norm_rms_epsilon": .number(.real(1e-6)),
        ][$0]
      }
      return try metadata.configuration(#require(FamilyDefinition.gemma2.gguf.first)).number(
        "query_pre_attn_scalar")
    }
    #expect(try scale(46) == 144)
    #expect(try scale(42) == 128)
  }

  // MARK: Llama 4, Gemma 4, Mistral 3

  /// Every fourth block sees all tokens and does not rotate, unless a window of 0 says that there are no such blocks.
  /// Only the largest model has no norms of queries and keys; contradicting settings of the blocks are refused.
  @Test func llama4() throws {
    let dialect = try #require(FamilyDefinition.llama4.gguf.first)
    func value(_ key: String, _ extra: [String: JSONValue]) throws -> JSONValue? {
      try configuration("llama4", dialect, extra).value([key])?.value
    }
    #expect(try value("use_qk_norm", [:])?.bool == true)
    #expect(try value("use_qk_norm", ["expert_count": .number(.integer(128))])?.bool == false)
    #expect(try value("no_rope_layers", [:]) == nil)
    let none = ["attention.sliding_window": JSONValue.number(.integer(0))]
    #expect(try value("no_rope_layers", none)?.array?.count == 2)
    let chunk = try configuration("llama4", dialect, none).nullableSize(
      "attention_chunk_size", absent: 8192)
    #expect(chunk == nil)
    func load(pattern: Int) throws {
      _ = try loadTransformer(
        ModelFile(
          metadata(
            "llama4", dialect,
            ["attention.sliding_window_pattern": .number(.integer(pattern))])))
    }
    try load(pattern: 4)
    let error = #expect(throws: ModelError.self) { try load(pattern: 2) }
    #expect(error?.description.contains("llama4.attention.sliding_window_pattern") == true)
  }

  /// Refused are partly rotated heads unless the file has divisors, and widths other than one number and twice that.
  @Test(arguments: [
    ("rope.dimension_count_swa", JSONValue.number(.integer(2))),
    ("feed_forward_length", .array([10, 20, 20, 20].map { .number(.integer($0)) })),
    ("attention.key_length_swa", .null), ("attention.sliding_window", .null),
    ("attention.sliding_window_pattern", .null), ("embedding_length_per_layer_input", .null),
  ])
  func gemma4(_ key: String, _ value: JSONValue) throws {
    let dialect = try #require(FamilyDefinition.gemma4.gguf.first)
    let error = #expect(throws: ModelError.self) {
      try loadTransformer(ModelFile(metadata("gemma4-shared", dialect, [key: value])))
    }
    #expect(error?.description.contains("gemma4.\(key)") == true, "\(error as Any)")
  }

  /// A Mistral in a file with Ministral 3's architecture, as the converter writes Mistral Small: its queries do not
  /// grow.
  @Test func mistralSmall() throws {
    let dialect = try #require(FamilyDefinition.ministral3.gguf.first)
    let plain = [
      "rope.scaling.type", "rope.scaling.factor", "rope.scaling.yarn_log_multiplier",
      "attention.temperature_scale",
    ]
    let model = try loadTransformer(
      ModelFile(
        metadata("ministral3", dialect, Dictionary(uniqueKeysWithValues: plain.map { ($0, .null) }))
      ))
    #expect(!model.description.residual.contains("queries grow"))
  }
}
