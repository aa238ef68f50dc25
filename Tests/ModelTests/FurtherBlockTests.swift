import Checkpoint
import Testing

@testable import Model

/// Blocks after the model's own that predict more than one token at a time are not part of the model.
@Suite struct FurtherBlockTests {
  private func draft(_ name: String, _ tensors: [String]) throws -> Draft {
    var draft = try Draft(of: name)
    draft.tensors += tensors.map { (.init(name: "model.layers.2.\($0)", shape: [3]), [1, 2, 3]) }
    return draft
  }

  @Test(arguments: ["deepseek_v3", "glm4_moe"]) func areLeftOut(_ name: String) throws {
    let model = try draft(name, ["eh_proj.weight", "input_layernorm.weight"]).load()
    let plain = try Fixture(name: name, form: .folder).load()
    #expect(model.description.parameters == plain.description.parameters)
    #expect(model.source.tensors.count == plain.source.tensors.count)
    #expect(
      model.description.unread == [UnreadPart(name: "layers.2", tensors: 2, bytes: 24)])
  }

  /// A further block is refused without the tensors that mark it, or beyond the number of such blocks.
  @Test(arguments: ["deepseek_v3", "glm4_moe"]) func othersAreRefused(_ name: String) throws {
    #expect(throws: ModelError.self) { try draft(name, ["input_layernorm.weight"]).load() }
    var none = try draft(name, ["eh_proj.weight"])
    none.configuration["num_nextn_predict_layers"] = 0
    none.configuration["num_mtp_layers"] = nil
    #expect(throws: ModelError.self) { try none.load() }
  }
}
