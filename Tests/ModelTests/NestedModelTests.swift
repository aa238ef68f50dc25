import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// Multimodal models: the requested part is read as it would be alone, and the other parts are named.
@Suite struct NestedModelTests {
  /// A published kind of multimodal model around a fixture's text model.
  struct Whole: Sendable, CustomTestStringConvertible {
    let type, fixture: String
    /// The prefix of the text model's names, in place of `model.`, and that of its head.
    var prefix = "language_model.model."
    var head = "language_model."
    /// Another name of the text model within it; nil if there is none.
    var inner: String?
    var saysInner = true
    /// Whether the keys of the text model are among those of the whole model.
    var isFlat = false
    var others = ["vision_tower.encoder.layers.0.w", "multi_modal_projector.linear_1.weight"]

    var testDescription: String { "\(type) of \(fixture)" }

    static let newer = ("model.language_model.", "")
    static let all = [
      Whole(type: "llava", fixture: "llama"), Whole(type: "llava", fixture: "mistral"),
      Whole(type: "llava", fixture: "llama", saysInner: false),
      Whole(type: "llava_next", fixture: "mistral"), Whole(type: "vipllava", fixture: "llama"),
      Whole(type: "mistral3", fixture: "mistral", saysInner: false),
      Whole(type: "llava_onevision", fixture: "qwen2"), Whole(type: "internvl", fixture: "qwen2"),
      Whole(type: "qwen2_audio", fixture: "qwen2", others: ["audio_tower.layers.0.fc1.weight"]),
      Whole(type: "voxtral", fixture: "llama", others: ["audio_tower.layers.0.fc1.weight"]),
      Whole(type: "granite_speech", fixture: "granite", others: ["encoder.layers.0.w"]),
      Whole(type: "aya_vision", fixture: "cohere2"),
      Whole(
        type: "cohere2_vision", fixture: "cohere2", prefix: newer.0, head: newer.1,
        others: ["model.vision_tower.w"]),
      Whole(
        type: "smolvlm", fixture: "llama", prefix: "model.text_model.", head: "",
        others: ["model.vision_model.encoder.layers.0.w", "model.connector.w"]),
      Whole(
        type: "idefics2", fixture: "mistral", prefix: "model.text_model.", head: "",
        saysInner: false, others: ["model.vision_model.encoder.layers.0.w"]),
      Whole(type: "lfm2_vl", fixture: "lfm2", prefix: newer.0, head: newer.1, others: []),
      Whole(type: "llama4", fixture: "llama4", others: ["vision_model.model.layers.0.w"]),
      Whole(type: "qwen3_5", fixture: "qwen3_5", prefix: newer.0, head: newer.1, others: []),
      Whole(
        type: "qwen3_vl", fixture: "qwen3", prefix: newer.0, head: newer.1,
        inner: "qwen3_vl_text", others: ["model.visual.blocks.0.w"]),
      Whole(
        type: "qwen2_vl", fixture: "qwen2", prefix: "model.", head: "", inner: "qwen2_vl_text",
        isFlat: true, others: ["visual.blocks.0.attn.qkv.weight"]),
      Whole(
        type: "qwen2_5_vl", fixture: "qwen2", prefix: "model.", head: "",
        inner: "qwen2_5_vl_text", others: ["visual.blocks.0.attn.qkv.weight"]),
      Whole(
        type: "fuyu", fixture: "persimmon", isFlat: true, others: ["vision_embed_tokens.weight"]),
    ]

    func draft() throws -> Draft {
      var draft = try Draft(of: fixture)
      var text = draft.configuration
      text["architectures"] = nil
      text["model_type"] = saysInner ? inner ?? text["model_type"] : nil
      // The three positions of a token, which coincide for text.
      if type.hasPrefix("qwen2_"), var rope = text["rope_parameters"] as? [String: Any] {
        rope["rope_type"] = "mrope"
        rope["mrope_section"] = [1, 1, 1]
        text["rope_parameters"] = rope
      }
      // Persimmon has as many key heads as query heads, whatever the file says.
      if fixture == "persimmon" { text["num_key_value_heads"] = 1 }
      let whole: [String: Any] = [
        "model_type": type, "architectures": ["SomeForConditionalGeneration"],
        "vision_config": ["hidden_size": 4, "num_hidden_layers": 1],
      ]
      draft.configuration = isFlat ? text.merging(whole) { $1 } : whole
      if !isFlat { draft.configuration["text_config"] = text }
      draft.tensors = draft.tensors.map { entry, numbers in
        let isInner = entry.name.hasPrefix("model.")
        let name = isInner ? prefix + entry.name.dropFirst(6) : head + entry.name
        return (.init(name: name, shape: entry.shape), numbers)
      }
      draft.tensors += others.map { (.init(name: $0, shape: [2]), [1, 2]) }
      return draft
    }
  }

  @Test(arguments: Whole.all) func textIsRead(_ whole: Whole) throws {
    let fixture = Fixture(name: whole.fixture, form: .folder)
    let (expected, plain) = (try fixture.expected(), try fixture.load().description)
    let model = try whole.draft().load()
    let path = try Path<Double>(of: [expected.input], through: model)
    expectClose(try #require(path.logits).elements, try #require(expected.lastLogits), 1e-9)
    #expect(model.description.family == plain.family)
    #expect(model.description.modelType == whole.type)
    #expect(model.description.parameters == plain.parameters)
    #expect(model.description.unread.reduce(0) { $0 + $1.tensors } == whole.others.count)
  }

  /// Without a configuration of the text model, the error names the key.
  @Test(arguments: ["llava", "gemma3", "clip"]) func withoutConfiguration(_ type: String) throws {
    var draft = try Draft(of: "llama")
    draft.configuration = ["model_type": type, "text_config": NSNull()]
    let error = #expect(throws: ModelError.self) { try draft.load() }
    #expect(error?.description.contains("\"text_config\"") == true)
  }

  // MARK: Two models that are read alone

  /// A CLIP or SigLIP made of two fixtures.
  private func pair(_ type: String, text: String?, images: String) throws -> Draft {
    var draft = try Draft(of: images)
    let vision = draft.configuration
    func named(_ prefix: String, _ draft: Draft) -> [(SafetensorsWriter.Entry, [Float])] {
      draft.tensors.map { (.init(name: prefix + $0.entry.name, shape: $0.entry.shape), $0.numbers) }
    }
    draft.tensors = named("vision_model.", draft)
    draft.configuration = ["model_type": type, "vision_config": vision]
    draft.configuration["text_config"] = ["hidden_size": 3]
    if let text {
      let inner = try Draft(of: text)
      draft.configuration["text_config"] = inner.configuration
      draft.tensors += named("text_model.", inner)
    }
    draft.tensors += ["logit_scale", "visual_projection.weight", "text_projection.weight"].map {
      (.init(name: $0, shape: [1]), [1])
    }
    return draft
  }

  @Test(arguments: [Tower.text, .images]) func clip(_ tower: Tower) throws {
    let draft = try pair("clip", text: "clip_text_model", images: "clip_vision_model")
    let name = tower == .text ? "clip_text_model" : "clip_vision_model"
    let model = try loadTransformer(draft.open(), tower: tower)
    try expectSame(model, name)
    let other = tower == .text ? "vision_model" : "text_model"
    #expect(model.description.unread.map(\.name).contains(other))
    #expect(model.description.unread.map(\.name).contains("logit_scale"))
  }

  /// The additional text configuration that CLIP was originally published with takes precedence.
  @Test func olderConfiguration() throws {
    var draft = try pair("clip", text: "clip_text_model", images: "clip_vision_model")
    draft.configuration["text_config_dict"] = draft.configuration["text_config"]
    draft.configuration["text_config"] = ["model_type": "clip_text_model", "hidden_size": 7]
    try expectSame(draft.load(), "clip_text_model")
  }

  /// Only the image part of SigLIP is supported, and is read whichever part is requested.
  @Test(arguments: [Tower.text, .images]) func siglip(_ tower: Tower) throws {
    let draft = try pair("siglip", text: nil, images: "siglip_vision_model")
    try expectSame(try loadTransformer(draft.open(), tower: tower), "siglip_vision_model")
  }

  private func expectSame(_ model: any Transformer, _ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    let (expected, plain) = (try fixture.expected(), try fixture.load())
    let (x, y) = (
      try Path<Double>(of: [expected.input], through: model),
      try Path<Double>(of: [expected.input], through: plain)
    )
    for (a, b) in zip(x.states, y.states) { #expect(a[0].elements == b[0].elements) }
    #expect(model.description.parameters == plain.description.parameters)
  }
}
