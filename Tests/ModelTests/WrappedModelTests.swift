import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// Checkpoints whose tensor names differ from their model's: wrapped, part of another model, without a head, or with
/// a head that is stored twice.
@Suite struct WrappedModelTests {
  /// The prefixes and names of a wrapped checkpoint.
  struct Wrapping: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let rename: @Sendable (String) -> String

    init(_ name: String, _ rename: @escaping @Sendable (String) -> String) {
      (testDescription, self.rename) = (name, rename)
    }

    static let all = [
      Wrapping("torch.compile") { "_orig_mod.\($0)" }, Wrapping("DDP") { "module.\($0)" },
      Wrapping("DDP of compiled") { "module._orig_mod.\($0)" },
      Wrapping("compiled DDP") { "_orig_mod.module.\($0)" },
      Wrapping("compiled blocks") { name in
        name.replacing(/layers\.(\d+)\./) { "layers.\($0.1)._orig_mod." }
      },
      Wrapping("FSDP") { "_fsdp_wrapped_module.\($0)" },
      Wrapping("merged adapter") { "base_model.model.\($0)" },
      Wrapping("merged adapter with its layers") { name in
        "base_model.model." + name.replacing(/_proj\./, with: "_proj.base_layer.")
      },
      Wrapping("a trainer's module") { "model.\($0)" },
      Wrapping("sentence embeddings") { "auto_model.\($0)" },
      Wrapping("language model of images and text") { "language_model.\($0)" },
      Wrapping("the same, newer") { name in
        name.hasPrefix("model.") ? "model.language_model.\(name.dropFirst(6))" : name
      },
    ]
  }

  @Test(arguments: Wrapping.all, ["llama", "llama-biased", "gemma2", "mixtral"])
  func wrappersAreTakenOff(_ wrapping: Wrapping, _ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    var draft = try Draft(of: name)
    draft.tensors = draft.tensors.map {
      (.init(name: wrapping.rename($0.entry.name), shape: $0.entry.shape), $0.numbers)
    }
    let own = draft.tensors.count
    if wrapping.testDescription.contains("newer") || wrapping.testDescription.contains("images") {
      let prefix = wrapping.testDescription.contains("newer") ? "model." : ""
      draft.tensors.append((.init(name: "\(prefix)vision_tower.layers.0.w", shape: [2]), [1, 2]))
      draft.tensors.append((.init(name: "\(prefix)projector.weight", shape: [2]), [1, 2]))
    }
    let model = try draft.load()
    let expected = try fixture.expected()
    let path = try Path<Double>(of: [expected.input], through: model)
    expectClose(try #require(path.logits).elements, try #require(expected.lastLogits), 1e-9)
    #expect(model.description.parameters == (try fixture.load().description.parameters))
    #expect(model.source.tensors.count == own)
    #expect(!model.tensorNames(ofBlock: 1).isEmpty && model.bytes(ofBlock: 1) > 0)
  }

  /// Matrices of an adapter must be merged into those of the model first.
  @Test func adapters() throws {
    var draft = try Draft(of: "llama")
    draft.tensors = draft.tensors.map {
      (.init(name: "base_model.model.\($0.entry.name)", shape: $0.entry.shape), $0.numbers)
    }
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
    draft.tensors.append((.init(name: name, shape: [1, 24]), Array(repeating: 1, count: 24)))
    let error = try #require(throws: FileError.self) { try draft.load() }
    #expect(error.description.contains(name) && error.description.contains("merge_and_unload"))
  }

  /// An unknown prefix is named in the error, and not guessed.
  @Test func unknownPrefix() throws {
    var draft = try Draft(of: "llama")
    draft.tensors = draft.tensors.map {
      (.init(name: "student.net.\($0.entry.name)", shape: $0.entry.shape), $0.numbers)
    }
    let error = try #require(throws: FileError.self) { try draft.load() }
    guard case .prefixedTensor(_, _, let stored) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(stored.hasPrefix("student.net.") && error.description.contains(stored))
    #expect(!error.description.contains("damaged") && !error.description.contains("download"))
  }

  // MARK: Heads

  /// Base models and classifiers have no head over the vocabulary and are read without one.
  @Test(
    arguments: [
      ("llama", "LlamaModel", "model.", true),
      ("llama", "LlamaForSequenceClassification", "", true),
      ("llama", nil, "model.", true), ("mistral", "MistralModel", "model.", true),
      ("qwen3", "Qwen3ForTokenClassification", "", true),
      ("gpt_neox", "GPTNeoXModel", "gpt_neox.", true),
      ("phi", "PhiModel", "model.", true), ("gptj", "GPTJModel", "transformer.", true),
      ("stablelm", "StableLmForSequenceClassification", "", true),
      ("opt-bare", "OPTModel", "model.", true),
      // As embedding models were published: a base model whose configuration names the class it was made from.
      ("llama", "LlamaForCausalLM", "model.", true),
      ("llama", "LlamaForCausalLM", "", false), ("llama", nil, "", false),
    ] as [(String, String?, String, Bool)])
  func withoutHead(_ name: String, _ architecture: String?, _ prefix: String, _ isRead: Bool) throws
  {
    let expected = try Fixture(name: name, form: .folder).expected()
    var draft = try Draft(of: name)
    draft.configuration["architectures"] = architecture.map { [$0] }
    let heads = ["lm_head.", "embed_out."]
    draft.tensors = draft.tensors.filter { t in !heads.contains { t.entry.name.hasPrefix($0) } }
      .map {
        let isPrefixed = $0.entry.name.hasPrefix(prefix)
        let short = String($0.entry.name.dropFirst(isPrefixed ? prefix.count : 0))
        return (.init(name: short, shape: $0.entry.shape), $0.numbers)
      }
    guard isRead else {
      let error = #expect(throws: FileError.self) { try draft.load() }
      #expect(error?.description.contains("lm_head.weight") == true)
      #expect(error?.description.contains("download") == false)
      // A reward model is recognised by its tensors, not by its configuration.
      draft.tensors.append((.init(name: "score.weight", shape: [1, 2]), [1, 2]))
      #expect(try Path<Double>(of: [expected.input], through: draft.load()).logits == nil)
      return
    }
    draft.tensors.append((.init(name: "score.weight", shape: [1, 2]), [1, 2]))
    let path = try Path<Double>(of: [expected.input], through: draft.load())
    #expect(path.logits == nil)
    let last = try #require(path.states.last)[0]
    expectClose(Array(last.row(expected.last)), try #require(expected.hiddenLastToken.last), 1e-9)
  }

  /// A head that is tied and nevertheless stored counts once; one that differs is used, as in the reference, and
  /// counts.
  @Test(arguments: ["llama-biased", "qwen2", "gpt2", "gemma"]) func tiedHead(_ name: String) throws
  {
    let fixture = Fixture(name: name, form: .folder)
    let (expected, count) = (try fixture.expected(), try fixture.load().description.parameters)
    var draft = try Draft(of: name)
    let embedding = try #require(
      draft.tensors.first { tensor in
        ["embed_tokens.weight", "wte.weight"].contains { tensor.entry.name.hasSuffix($0) }
      })
    draft.tensors.append(
      (.init(name: "lm_head.weight", shape: embedding.entry.shape), embedding.numbers))
    #expect(try draft.load().description.parameters == count)
    var untied = draft
    untied.configuration["tie_word_embeddings"] = false
    #expect(try untied.load().description.parameters == count + embedding.numbers.count)
    let logits = { (draft: Draft) in
      try #require(try Path<Double>(of: [expected.input], through: draft.load()).logits).elements
    }
    expectClose(try logits(draft), try #require(expected.lastLogits), 1e-9)
    try draft.alter("lm_head.weight") { $1 = $1.map { 2 * $0 } }
    #expect(try draft.load().description.parameters == count + embedding.numbers.count)
    expectClose(try logits(draft), try #require(expected.lastLogits).map { 2 * $0 }, 1e-9)
  }

  // MARK: Configurations

  /// Two spellings of one key that disagree are refused: which one counts differs between versions of the reference.
  @Test(
    arguments: [
      ("gpt2", "hidden_size", 99), ("gpt2", "num_attention_heads", 1),
      ("gptj", "num_hidden_layers", 1),
      ("stablelm", "norm_eps", 0.5), ("t5", "num_hidden_layers", 7), ("falcon", "n_head", 2),
    ] as [(String, String, Double)])
  func spellingsThatDisagree(_ name: String, _ key: String, _ value: Double) throws {
    var draft = try Draft(of: name)
    draft.configuration[key] = value == value.rounded() ? Int(value) as Any : value
    let error = try #require(throws: ModelError.self) { try draft.load() }
    guard case .badKey(_, key, _) = error else {
      Issue.record("\(error)")
      return
    }
  }

  /// Decoders without a causal mask, which serve as encoders, are not supported; an encoder has no mask anyway.
  @Test(arguments: Fixture.names, ["false", "null"])
  func maskTurnedOff(_ name: String, _ value: String) throws {
    var draft = try Draft(of: name)
    draft.configuration["is_causal"] = value == "null" ? NSNull() : false
    guard try Fixture(name: name, form: .folder).load().description.isCausal else {
      _ = try draft.load()
      return
    }
    let error = try #require(throws: ModelError.self) { try draft.load() }
    guard case .unsupportedKey(_, "is_causal", _, _) = error else {
      Issue.record("\(error)")
      return
    }
  }

  /// A note says which of the reference's two implementations Falcon's ALiBi follows.
  @Test func falconsALiBi() throws {
    for (name, isSaid) in [("falcon-alibi", true), ("falcon", false)] {
      let residual = try Fixture(name: name, form: .folder).load().description.residual
      #expect(residual.contains("sdpa") == isSaid)
    }
  }
}
