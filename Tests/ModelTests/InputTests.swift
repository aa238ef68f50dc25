import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// The inputs that a model accepts and those it refuses.
@Suite struct InputTests {
  private static func model(_ name: String) throws -> any Transformer {
    try Fixture(name: name, form: .folder).load()
  }

  private static func image(_ channels: Int, _ height: Int, _ width: Int) -> ModelInput {
    .image(
      PixelValues(
        channels: channels, height: height, width: width,
        values: Array(repeating: 1, count: channels * height * width)))
  }

  /// Another kind of input, or an image of another size, is refused.
  @Test(arguments: ["llama", "bert", "t5", "vit"], 0..<5)
  func wrongInput(_ name: String, _ number: Int) throws {
    let inputs: [ModelInput] = [
      .tokens([1, 2]), .decoder([1, 2], encoder: [3]), Self.image(3, 12, 12), Self.image(1, 12, 12),
      Self.image(3, 12, 16),
    ]
    let right = ["llama": 0, "bert": 0, "t5": 1, "vit": 2][name]
    let (model, input) = (try Self.model(name), inputs[number])
    guard number != right else {
      _ = try HiddenStates<Float>(inputs: [input], in: model)
      return
    }
    let error = try #require(throws: ModelError.self) {
      try HiddenStates<Float>(inputs: [input], in: model)
    }
    guard case .wrongInput(_, let needed) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(error.description.contains(needed))
  }

  /// The encoder's tokens are checked like the decoder's.
  @Test func encoderTokens() throws {
    let model = try Self.model("t5")
    #expect(throws: ModelError.emptyPrompt) {
      try HiddenStates<Float>(inputs: [.decoder([1], encoder: [])], in: model)
    }
    #expect(throws: ModelError.tokenOutOfRange(id: 31, vocabulary: 31)) {
      try HiddenStates<Float>(inputs: [.decoder([1], encoder: [31])], in: model)
    }
    // Distances beyond the reach share one bucket, in both directions.
    let long = Array(repeating: 7, count: 400)
    _ = try HiddenStates<Float>(inputs: [.decoder(long, encoder: long)], in: model)
  }

  /// A weight of an encoder that is not finite is named.
  @Test func encoderNotFinite() throws {
    let name = "encoder.block.1.layer.1.DenseReluDense.wo.weight"
    var draft = try Draft(of: "t5")
    try draft.alter(name) { $1[3] = .nan }
    let model = try draft.load()
    expectNotFinite(name) {
      try HiddenStates<Float>(inputs: [.decoder([1], encoder: [2])], in: model)
    }
  }

  /// The encoder runs once for all prompts with the same tokens, which share one set of keys and values.
  @Test func sharedContext() throws {
    let model = try Self.model("t5")
    let path = try Path<Float>(
      of: [.decoder([1, 2], encoder: [3, 4]), .decoder([5], encoder: [3, 4])], through: model)
    let caches = path.points[0].caches
    #expect(
      caches[0].attentions[1] === caches[1].attentions[1]
        && caches[0].attentions[0] !== caches[1].attentions[0])
    let distinct = [caches[0].attentions[0], caches[1].attentions[0], caches[0].attentions[1]]
    #expect(path.points[0].cacheBytes == distinct.reduce(0) { $0 + $1.byteCount })
  }

  // MARK: Pixel values

  @Test func pixelFile() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let numbers = (0..<24).map { Float($0) }
    let file = { (name: String, shape: [Int]) in
      let path = folder.appending(path: "\(shape.count)-\(name).safetensors").path()
      try SafetensorsWriter.write([(.init(name: name, shape: shape), numbers)], to: path)
      return path
    }
    let expected = PixelValues(channels: 2, height: 3, width: 4, values: numbers)
    #expect(try PixelValues(safetensors: file("pixel_values", [2, 3, 4])) == expected)
    #expect(try PixelValues(safetensors: file("pixel_values", [1, 2, 3, 4])) == expected)
    for shape in [[24], [6, 4], [2, 1, 3, 4], [1, 1, 2, 3, 4]] {
      let error = try #require(throws: FileError.self) {
        try PixelValues(safetensors: file("pixel_values", shape))
      }
      guard case .wrongShape(_, "pixel_values", shape, _) = error else {
        Issue.record("\(error)")
        continue
      }
    }
    #expect(throws: FileError.self) {
      try PixelValues(safetensors: file("pixels", [2, 3, 4]))
    }
    // Patches of 2 × 2, row by row; the third row of pixels is dropped.
    let patches: Matrix<Double> = expected.patches(height: 2, width: 2)
    #expect(Array(patches.row(0)) == [0, 1, 4, 5, 12, 13, 16, 17])
    #expect(Array(patches.row(1)) == [2, 3, 6, 7, 14, 15, 18, 19])
    #expect(patches.rows == 2)
  }

  // MARK: Names and keys of old files

  /// BERT's norms were originally stored as gamma and beta, and its head's bias under the head or the matrix.
  @Test func oldNames() throws {
    let expected = try Fixture(name: "bert", form: .folder).expected()
    var draft = try Draft(of: "bert")
    draft.tensors = draft.tensors.map { entry, numbers in
      let name = entry.name.replacing("LayerNorm.weight", with: "LayerNorm.gamma")
        .replacing("LayerNorm.bias", with: "LayerNorm.beta")
        .replacing("cls.predictions.bias", with: "cls.predictions.decoder.bias")
      return (.init(name: name, shape: entry.shape), numbers)
    }
    let path = try Path<Double>(of: [expected.input], through: draft.load())
    expectClose(try #require(path.logits).elements, try #require(expected.lastLogits), 1e-9)
  }

  /// T5's embedding may be stored under either stack's name, and its head even if it is tied.
  @Test(arguments: ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight"])
  func embeddingNames(_ stored: String) throws {
    let expected = try Fixture(name: "t5", form: .folder).expected()
    var draft = try Draft(of: "t5")
    let i = try #require(draft.tensors.firstIndex { $0.entry.name == "shared.weight" })
    let (entry, numbers) = draft.tensors[i]
    draft.tensors[i].entry = .init(name: stored, shape: entry.shape)
    draft.tensors.append((.init(name: "lm_head.weight", shape: entry.shape), numbers))
    let path = try Path<Double>(of: [expected.input], through: draft.load())
    expectClose(try #require(path.logits).elements, try #require(expected.lastLogits), 1e-9)
  }

  static let refused: [(name: String, key: String, value: any Sendable)] = [
    ("bert", "position_embedding_type", "relative_key"), ("bert", "is_decoder", true),
    ("bert", "hidden_act", "mish"), ("t5", "dense_act_fn", "mish"),
    ("t5", "feed_forward_proj", "gelu-gated"), ("t5", "relative_attention_num_buckets", 2),
    ("t5", "relative_attention_max_distance", 3), ("t5", "decoder_start_token_id", -1),
    ("t5", "num_heads", 4), ("vit", "image_size", [12]), ("vit", "image_size", 3),
    ("vit", "patch_size", [4, 4, 4]), ("vit", "patch_size", 5), ("vit", "qkv_bias", false),
    ("vit", "num_channels", 1),
  ]

  /// Keys that ask for another model, or that do not match the weights, are refused.
  @Test(arguments: refused.indices) func refusedKey(_ i: Int) throws {
    let (name, key, value) = Self.refused[i]
    var draft = try Draft(of: name)
    draft.configuration[key] = value
    #expect(throws: (any Error).self, "\(key)") { _ = try draft.load() }
  }
}
