import Checkpoint
import Testing

@testable import Model

/// What the metadata of a GGUF file means, as llama.cpp reads it.
@Suite struct GGUFSettingTests {
  /// Frequencies of the llama fixture's file with more metadata.
  private func frequencies(_ extra: [String: JSONValue]) throws -> [Double] {
    try sizes(extra).rotary.frequencies(length: 9).values
  }

  private func sizes(_ extra: [String: JSONValue]) throws -> DecoderSettings {
    let file = try GGUFFile(fixturePath("llama/model.gguf"))
    let configuration = Configuration(file: "model.gguf") { key in
      if let value = extra[key] { return value }
      guard let value = file["llama.\(key)"] else { return nil }
      if let int = value.int { return .number(.integer(int)) }
      return value.double.map { .number(.real($0)) }
    }
    let settings = try DecoderSettings(
      gguf: configuration, WeightReader(file, ggufNames: GatedDecoder.llamaNames))
    try configuration.refuseUnread()
    return settings
  }

  /// A factor without a type is linear; so is one under the older key; 0 and type none are no factor.
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

  @Test(arguments: [
    ("rope.scaling.type", JSONValue.string("yarn")), ("expert_count", .number(.integer(8))),
    ("rope.dimension_count", .number(.integer(4))), ("rope.freq_base", .number(.real(.infinity))),
    ("attention.layer_norm_rms_epsilon", .number(.real(.nan))),
    ("rope.scaling.factor", .number(.real(-2))), ("attention.head_count_kv", .number(.integer(3))),
    ("block_count", .number(.integer(0))), ("logit_scale", .number(.real(0.1))),
    ("attention.scale", .number(.real(0.1))), ("residual_scale", .number(.real(0.2))),
    ("embedding_scale", .number(.real(12))),
  ])
  func refused(_ key: String, _ value: JSONValue) throws {
    let error = try #require(throws: ModelError.self) { try sizes([key: value]) }
    let place = key == "attention.head_count_kv" ? "num_key_value_heads" : key
    #expect(error.description.contains("model.gguf") && error.description.contains(place))
  }
}
