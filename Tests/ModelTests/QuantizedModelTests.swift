import Checkpoint
import Foundation
import Testing

@testable import Model

/// Folders whose config.json declares quantised weights.
@Suite struct QuantizedModelTests {
  private func refusal(_ quantization: [String: Any]) throws -> String {
    var draft = try Draft(of: "llama")
    draft.configuration["quantization_config"] = quantization
    let error = #expect(throws: ModelError.self) { try draft.load() }
    return error?.description ?? ""
  }

  /// Methods without a reader are refused by name, as are unsupported variants, before any tensor is looked up.
  @Test(
    arguments: [
      ("aqlm", [:]), ("hqq", [:]), ("quanto", [:]), ("torchao", [:]), ("eetq", [:]),
      ("modelopt", [:]), ("auto-round", ["bits": "4"]), ("marlin", ["bits": "4"]),
      ("gptq", ["bits": "8"]), ("gptq", ["bits": "4", "checkpoint_format": "marlin"]),
      ("awq", ["bits": "4", "version": "gemv"]), ("awq", ["bits": "3"]),
      ("compressed-tensors", ["format": "nvfp4-pack-quantized"]),
    ] as [(String, [String: String])])
  func othersAreRefused(method: String, keys: [String: String]) throws {
    var quantization: [String: Any] = ["quant_method": method]
    for (key, value) in keys { quantization[key] = Int(value) ?? value }
    let message = try refusal(quantization)
    #expect(message.contains("quantization_config") && message.contains("dequantise"))
    #expect(message.contains(keys.values.first { Int($0) == nil } ?? keys["bits"] ?? method))
  }

  @Test func transformsAreRefused() throws {
    let message = try refusal([
      "quant_method": "compressed-tensors", "format": "pack-quantized",
      "transform_config": ["config_groups": ["R1": ["type": "hadamard"]]],
    ])
    #expect(message.contains("transform_config"))
  }

  /// Plain tensors are read as they are, whatever the configuration says: all modules were left unquantised.
  @Test func plainWeightsStayPlain() throws {
    var draft = try Draft(of: "llama")
    draft.configuration["quantization_config"] = [
      "quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["model"],
    ]
    #expect(
      try draft.load().description.parameters == Draft(of: "llama").load().description.parameters)
  }

  /// The parameters counted are weights, not stored numbers.
  @Test(arguments: Fixture.quantized.filter { !$0.name.hasSuffix("oss") })
  func parametersAreWeights(_ fixture: Fixture) throws {
    let model = try fixture.load()
    let (width, inner, keys) = (32, 64, 16)
    let block = 2 * width * width + 2 * width * keys + 3 * width * inner + 2 * width
    #expect(model.description.parameters == 2 * 37 * width + width + 2 * block)
    let names = model.source.tensors.map(\.name)
    #expect(names.count == 3 + 2 * 9 && names.allSatisfy { $0.hasSuffix(".weight") })
    #expect(model.bytes(ofBlock: 0) < 2 * block)
  }

  /// A random twin has weights where the model has codes.
  @Test(arguments: Fixture.quantized.filter { !$0.name.hasSuffix("oss") }) func randomTwins(
    _ fixture: Fixture
  ) throws {
    let directory = try CheckpointDirectory(opening: fixturePath(fixture.name))
    let twin = try loadTransformer(directory, randomSeed: 1)
    #expect(twin.description.parameters == (try fixture.load().description.parameters))
    let name = "model.layers.0.self_attn.k_proj.weight"
    let info = try #require(twin.source.info(name))
    #expect(info.shape == [16, 32] && info.elementType == .bf16)
  }
}
