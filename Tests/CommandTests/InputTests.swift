import Analysis
import Checkpoint
import Foundation
import TestSupport
import Testing

/// Models that read something other than one list of token ids: what is recorded, and what is refused.
struct InputTests {
  private static let options = ["--top", "3", "--ranks", "3"]

  /// The fixture's image as a file in `scratch`.
  private static func pixels(_ name: String, in scratch: ScratchFolder) throws -> String {
    struct Image: Decodable { let pixel_values: [[[Float]]] }
    let path = ModelFixture(name).folder + "/expected.json"
    let image = try JSONDecoder().decode(
      Image.self, from: Data(contentsOf: URL(fileURLWithPath: path))
    ).pixel_values
    let shape = [1, image.count, image[0].count, image[0][0].count]
    let file = scratch["\(name).safetensors"]
    try SafetensorsWriter.write(
      [(.init(name: "pixel_values", shape: shape), Array(image.joined().joined()))], to: file)
    return file
  }

  private func expect(_ prompt: PromptRecord, _ fixture: String) throws {
    struct Spectra: Decodable { let sigma_last: [[Double]] }
    let path = ModelFixture(fixture).folder + "/expected.json"
    let wanted = try JSONDecoder().decode(
      Spectra.self, from: Data(contentsOf: URL(fileURLWithPath: path))
    ).sigma_last
    #expect(prompt.layers.count == wanted.count)
    for (layer, sigma) in zip(prompt.layers, wanted) {
      for (found, value) in zip(layer.singularValues, sigma) {
        #expect(abs(found - value) <= 3e-5 * sigma[0])
      }
    }
  }

  @Test(arguments: ["vit", "vit-odd"]) func images(_ name: String) throws {
    let scratch = try ScratchFolder()
    let file = try Self.pixels(name, in: scratch)
    let run = try Command.align(
      ModelFixture(name).folder, Self.options + ["--image", file, "--image", file])
    #expect(run.record.prompts.count == 2)
    for prompt in run.record.prompts {
      #expect(prompt.text == nil && prompt.tokenIds == nil && prompt.image == file)
      #expect(prompt.nextTokenId == nil && prompt.nextToken == nil)
      try expect(prompt, name)
    }
    #expect(run.finished.output.contains("image 2: "))
  }

  /// One encoder input for all prompts; text follows the start token, and its end is left open.
  @Test func encoder() throws {
    struct Tokens: Decodable { let token_ids, encoder_token_ids: [Int] }
    let folder = ModelFixture("t5").folder
    let tokens = try JSONDecoder().decode(
      Tokens.self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/expected.json")))
    let encoder = ["--encoder-token-ids", tokens.encoder_token_ids.list]
    let run = try Command.align(
      folder, Self.options + encoder + ["--token-ids", "1,2", "--token-ids", tokens.token_ids.list])
    #expect(run.record.settings.encoderTokenIds == tokens.encoder_token_ids)
    #expect(run.record.prompts.map(\.tokenIds) == [[1, 2], tokens.token_ids])
    #expect(run.record.prompts.allSatisfy { $0.encoderTokenIds == tokens.encoder_token_ids })
    try expect(run.record.prompts[1], "t5")
  }

  /// A tokenizer like T5's: unigrams, words that begin with ▁, and </s> at the end.
  private static let unigrams = """
    {"added_tokens": [
        {"id": 0, "content": "<pad>", "special": true}, {"id": 1, "content": "</s>", "special": true},
        {"id": 2, "content": "<unk>", "special": true}],
      "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]},
      "post_processor": {"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
      "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
      "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [
        ["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["a", -3], ["b", -3.1], ["t", -3.2], ["s", -3.3],
        ["at", -3.4], ["▁a", -2.5], ["▁ta", -4], ["bat", -4.5], ["▁tab", -5]]}}
    """

  /// Text on both sides: the encoder's with </s>, the decoder's after the start token and open. Ids, σ in float64 and next
  /// tokens are those of transformers' T5Tokenizer and T5ForConditionalGeneration, whose decoder gets its labels shifted.
  @Test func encoderText() throws {
    let scratch = try ScratchFolder()
    let model = try scratch.copy(ModelFixture("t5").folder, as: "t5")
    try scratch.write(Array(Self.unigrams.utf8), to: "t5/tokenizer.json")
    let run = try Command.align(
      model, Self.options + ["--encoder-prompt", "a tab at sat", "-p", "a bat", "-p", "tabs"])
    let prompts = run.record.prompts
    #expect(prompts.map(\.tokenIds) == [[0, 9, 3, 11], [0, 12, 7]])
    #expect(prompts.allSatisfy { $0.encoderTokenIds == [9, 12, 3, 8, 3, 7, 8, 1] })
    #expect(prompts.map(\.nextTokenId) == [19, 1])
    let sigma = [
      [
        [12.86813414414522, 2.590095107998059, 1.4597355700510621],
        [2.1865877830321603, 1.819940023214123, 1.1567500456873592],
        [1.1854606863492347, 1.018283473952105, 0.890248402684534],
      ],
      [
        [5.556537917327825, 4.229803685444991, 3.4598080568749157],
        [2.4443620761281424, 1.9368020559666361, 1.4774451944031686],
        [2.497177699834198, 1.401576518013263, 0.7719433712756866],
      ],
    ]
    for (prompt, wanted) in zip(prompts, sigma) {
      #expect(prompt.layers.count == wanted.count)
      for (layer, values) in zip(prompt.layers, wanted) {
        for (found, value) in zip(layer.singularValues, values) {
          #expect(abs(found - value) <= 3e-5 * values[0])
        }
      }
    }
  }

  /// Without a head there is no next token; a masked language model has one.
  @Test(arguments: [("bert", true), ("bert-bare", false)])
  func encoderOnly(_ name: String, _ hasHead: Bool) throws {
    let options = Self.options + ["--token-ids", "3,4,5,6"]
    let model = ModelFixture(name).folder
    let prompt = try Command.align(model, options).record.prompts[0]
    #expect((prompt.nextTokenId != nil) == hasHead && prompt.encoderTokenIds == nil)
    // There is no mask, and no norm after the last block.
    _ = try Command.align(model, options + ["--from-token", "3", "--to-token", "0"])
    let normed = try Command.align(model, options + ["--last", "normed"]).record.prompts[0]
    for (a, b) in zip(prompt.layers, normed.layers) {
      for (s, t) in zip(a.singularValues, b.singularValues) {
        #expect(abs(s - t) <= 1e-5 * a.singularValues[0])
      }
    }
  }

  struct Wrong: Sendable, CustomTestStringConvertible {
    let model: String
    let options: [String]
    let names: [String]
    var testDescription: String { "\(model) \(options.joined(separator: " "))" }
    init(_ model: String, _ options: String..., names: [String]) {
      (self.model, self.options, self.names) = (model, options, names)
    }
  }

  /// An option and a family that do not go together: one line, that names both and what to do.
  @Test(arguments: [
    Wrong("llama", "--image", "cat.safetensors", names: ["--image", "llama", "--token-ids"]),
    Wrong("t5", "--image", "cat.safetensors", names: ["--image", "t5", "--token-ids"]),
    Wrong("vit", "--token-ids", "1,2", names: ["--token-ids", "vit", "--image"]),
    Wrong("vit", "-p", "a cat", names: ["--prompt", "vit", "--image"]),
    Wrong(
      "vit", "--image", "cat.png",
      names: ["--image cat.png", "preprocessor_config.json", ".safetensors", "pixel_values"]),
    Wrong(
      "bert", "--token-ids", "1", "--encoder-token-ids", "1",
      names: ["--encoder-token-ids", "bert", "leave it out"]),
    Wrong(
      "llama", "--token-ids", "1", "--encoder-prompt", "a",
      names: ["--encoder-prompt", "llama", "leave it out"]),
    Wrong("t5", "--token-ids", "1", names: ["--encoder-prompt", "--encoder-token-ids"]),
    Wrong(
      "t5", "--token-ids", "1", "--encoder-prompt", "a", "--encoder-token-ids", "1",
      names: ["--encoder-prompt", "--encoder-token-ids", "one of them"]),
  ])
  func refused(_ wrong: Wrong) throws {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      ["align", ModelFixture(wrong.model).folder, "-o", "run"] + wrong.options, in: scratch)
    #expect(finished.status == 64 && finished.complaints.count == 1, "\(finished.error)")
    #expect(scratch.contents.isEmpty)
    for name in wrong.names { #expect(finished.error.contains(name), "\(finished.error)") }
  }

  /// A file of pixel values that does not fit the model.
  @Test func wrongImage() throws {
    let scratch = try ScratchFolder()
    let file = try Self.pixels("vit-odd", in: scratch)
    let finished = try Command.run(
      ["align", ModelFixture("vit").folder, "-o", "run", "--image", file], in: scratch)
    #expect(finished.status == 64 && finished.complaints.count == 1, "\(finished.error)")
    for name in ["--image", file, "(1, 7, 13)", "(3, 12, 12)"] {
      #expect(finished.error.contains(name), "\(finished.error)")
    }
  }

  /// A fixture with a preprocessor_config.json of these settings.
  private func vit(
    _ settings: String, of fixture: String = "vit", in scratch: ScratchFolder
  ) throws -> String {
    let model = try scratch.copy(ModelFixture(fixture).folder, as: "vit")
    try scratch.write(Array(settings.utf8), to: "vit/preprocessor_config.json")
    return model
  }

  /// A PNG and a JPEG that must be rotated, prepared as the folder says, for a colour model and a grey one, give the same
  /// answer as the pixel values that transformers computes from them.
  @Test(
    arguments: ["rgb-8.png", "orientation-6.jpg"],
    [("vit", [3, 12, 12]), ("vit-odd", [1, 7, 13])])
  func decodedImages(_ name: String, _ input: (model: String, shape: [Int])) throws {
    struct Processed: Decodable {
      let image, settings: String
      let shape: [Int]
      let values: Data
    }
    let folder = ModelFixture.path("ImagesTests/Fixtures")
    let all = try JSONDecoder().decode(
      [Processed].self, from: Data(contentsOf: URL(fileURLWithPath: "\(folder)/processed.json")))
    let expected = try #require(all.first { $0.image == name && $0.shape == input.shape })
    let values = expected.values.withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    let scratch = try ScratchFolder()
    let model = try vit(expected.settings, of: input.model, in: scratch)
    let stored = scratch["pixels.safetensors"]
    try SafetensorsWriter.write(
      [(.init(name: "pixel_values", shape: expected.shape), values)], to: stored)
    let prompts = try Command.align(
      model, Self.options + ["--image", "\(folder)/\(name)", "--image", stored]
    ).record.prompts
    #expect(prompts.map(\.image) == ["\(folder)/\(name)", stored])
    for (a, b) in zip(prompts[0].layers, prompts[1].layers) {
      for (s, t) in zip(a.singularValues, b.singularValues) {
        // The last bit of a JPEG's bytes is a decoder's own; half a percent of the range.
        #expect(abs(s - t) <= (name.hasSuffix(".png") ? 3e-5 : 1e-2) * b.singularValues[0])
      }
    }
  }

  /// A model that reads neither grey nor colour images: only the user knows what the channels are.
  @Test func fourChannels() throws {
    let scratch = try ScratchFolder()
    let model = try vit("{}", in: scratch)
    let source = try SafetensorsFile("\(ModelFixture("vit").folder)/model.safetensors")
    try SafetensorsWriter.write(
      source.tensors.map { info in
        let isKernel = info.name.hasSuffix("projection.weight")
        let numbers = try source.tensor(info.name).numbers()
        let shape = isKernel ? [info.shape[0], 4] + info.shape.dropFirst(2) : info.shape
        let count = shape.reduce(1, *)
        return (
          .init(name: info.name, shape: shape), (0..<count).map { numbers[$0 % numbers.count] }
        )
      }, to: "\(model)/model.safetensors")
    let config = try String(contentsOfFile: "\(model)/config.json", encoding: .utf8)
    let changed = config.replacingOccurrences(
      of: "\"num_channels\": 3", with: "\"num_channels\": 4")
    try scratch.write(Array(changed.utf8), to: "vit/config.json")
    let image = ModelFixture.path("ImagesTests/Fixtures/rgb-8.png")
    let finished = try Command.run(["align", model, "-o", "run", "--image", image], in: scratch)
    #expect(finished.status == 64 && finished.complaints.count == 1, "\(finished.error)")
    for name in ["--image", image, "(4, 12, 12)", "pixel_values"] {
      #expect(finished.error.contains(name), "\(finished.error)")
    }
  }

  /// Images that do not fit the model, are damaged, or are not images give one line that names the file.
  @Test func wrongImages() throws {
    let folder = ModelFixture.path("ImagesTests/Fixtures")
    let scratch = try ScratchFolder()
    let model = try vit(#"{"size": 13}"#, in: scratch)
    let image = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/rgb-8.png"))
    let cases: [(path: String, status: Int32, names: [String])] = [
      ("\(folder)/rgb-8.png", 64, ["--image", "(3, 13, 13)", "(3, 12, 12)"]),
      (try scratch.write(image.dropLast(100), to: "short.png"), 1, ["short.png", "PNG"]),
      (try scratch.write(Array("GIF89a".utf8), to: "cat.jpg"), 1, ["cat.jpg", "neither"]),
      (scratch["none.png"], 1, ["none.png"]),
    ]
    for (path, status, names) in cases {
      let finished = try Command.run(["align", model, "-o", "run", "--image", path], in: scratch)
      #expect(finished.status == status && finished.complaints.count == 1, "\(finished.error)")
      for name in names { #expect(finished.error.contains(name), "\(finished.error)") }
    }
  }
}
