import Files
import Foundation
import LinearAlgebra
import Testing

@testable import Checkpoint
@testable import Model

/// GGUF files with other layouts of the same numbers: from older writers, or by an option of the writer.
@Suite struct GGUFLayoutTests {
  /// q, k and v in one matrix, with weights and biases: Phi 2 until 2024, and any family with the converter's
  /// `--fuse-qkv`.
  @Test(arguments: [
    "llama", "llama-biased", "mistral", "qwen2", "qwen3", "gemma", "olmo", "olmo2", "mixtral",
    "phi", "stablelm", "ministral3",
  ])
  func fusedProjections(_ name: String) throws {
    try expectSame(name) { tensors in
      for l in 0..<8 {
        for suffix in ["weight", "bias"] {
          let parts = ["q", "k", "v"].compactMap {
            tensors.removeValue(forKey: "blk.\(l).attn_\($0).\(suffix)")
          }
          guard let first = parts.first else { continue }
          #expect(parts.count == 3)
          let rows = parts.reduce(0) { $0 + $1.shape[0] }
          tensors["blk.\(l).attn_qkv.\(suffix)"] = Numbers(
            [rows] + first.shape.dropFirst(), parts.flatMap(\.values))
        }
      }
    }
  }

  /// Each expert has matrices of its own.
  @Test(arguments: ["mixtral", "mixtral-dense"]) func separateExperts(_ name: String) throws {
    try expectSame(name) { tensors in
      for (stored, stack) in tensors {
        guard let end = stored.range(of: "_exps.weight") else { continue }
        tensors[stored] = nil
        let count = stack.values.count / stack.shape[0]
        for e in 0..<stack.shape[0] {
          tensors["\(stored[..<end.lowerBound]).\(e).weight"] = Numbers(
            Array(stack.shape.dropFirst()), Array(stack.values[e * count..<(e + 1) * count]))
        }
      }
    }
  }

  /// Queries, keys, values and gates of Qwen3-Next in one matrix, by groups of heads, as in the first files.
  @Test func groupedFeatures() throws {
    // Each of two groups has five features of a query and of a key, and six of two heads' values and of their gates.
    let (groups, sizes) = (2, [5, 5, 6, 6])
    try expectSame("qwen3_next") { tensors in
      let parts = ["qkv", "gate"].map { tensors.removeValue(forKey: "blk.0.attn_\($0).weight") }
      let (mixed, gate) = (try #require(parts[0]), try #require(parts[1]))
      let rows = mixed.shape[0] + gate.shape[0]
      let (all, width) = (mixed.values + gate.values, mixed.shape[1])
      var values: [Float] = []
      for g in 0..<groups {
        var start = 0
        for size in sizes {
          values += all[(start + g * size) * width..<(start + (g + 1) * size) * width]
          start += groups * size
        }
      }
      tensors["blk.0.ssm_in.weight"] = Numbers([rows, width], values)
    }
  }

  /// Requantised files lose trailing dimensions of 1.
  @Test func sidesOfOne() throws {
    try expectSame("falcon_h1-normed") { tensors in
      for l in 0..<2 {
        let norm = try #require(tensors["blk.\(l).ssm_norm.weight"])
        #expect(norm.shape == [1, 12])
        tensors["blk.\(l).ssm_norm.weight"] = Numbers([12], norm.values)
      }
    }
  }

  /// Blocks without key-value heads are recurrent; if the other entries differ, or there is not one for every block,
  /// the key is refused.
  @Test(arguments: ["lfm2", "nemotron_h-experts"]) func headsByBlock(_ name: String) throws {
    let file = try GGUFFile(fixturePath("\(name)/model.gguf"))
    let architecture = try #require(file["general.architecture"]?.string)
    for wrong in [[0, 1], [0, 1, 2], [0, 0, 0, 2], [], [0, -1, 0]] {
      let metadata = GGUFMetadata(
        file: "model.gguf", architecture: architecture, tensors: file
      ) {
        $0 == "attention.head_count_kv"
          ? .array(wrong.map { .number(.integer($0)) }) : file["\(architecture).\($0)"]?.json
      }
      let error = try #require(throws: ModelError.self) { try loadTransformer(ModelFile(metadata)) }
      #expect(error.description.contains("\(architecture).attention.head_count_kv"), "\(error)")
    }
  }

  /// A missing matrix, or one of another shape, gives an error that names the tensor, not another layout.
  @Test func refused() throws {
    let missing = try #require(throws: FileError.self) {
      try load("mixtral") { $0["blk.1.ffn_up_exps.weight"] = nil }
    }
    #expect(missing.description.contains("\"blk.1.ffn_up_exps.weight\""), "\(missing)")
    let short = try #require(throws: FileError.self) {
      try load("phi") { tensors in
        for part in ["q", "k", "v"] { tensors["blk.0.attn_\(part).weight"] = nil }
        tensors["blk.0.attn_qkv.weight"] = Numbers([1, 1], [0])
      }
    }
    #expect(short.description.contains("\"blk.0.attn_qkv.weight\""), "\(short)")
    let both = try #require(throws: ModelError.self) {
      try load("phi") { tensors in
        for (suffix, shape) in [("weight", [60, 20]), ("bias", [60])] {
          let zeros = Array(repeating: Float(0), count: shape.reduce(1, *))
          tensors["blk.0.attn_qkv.\(suffix)"] = Numbers(shape, zeros)
        }
      }
    }
    #expect(both.description.contains("blk.0.attn_") && both.description.contains("not part"))
  }

  /// The size of GPT-J's MLP is four times the width if the file, as usual, does not give it; without the number of
  /// rotated features the file is refused.
  @Test func gptJ() throws {
    let file = try GGUFFile(fixturePath("gptj/model.gguf"))
    func load(without key: String) throws -> ModelDescription {
      let metadata = GGUFMetadata(file: "model.gguf", architecture: "gptj", tensors: file) {
        $0 == key ? nil : file["gptj.\($0)"]?.json
      }
      return try loadTransformer(ModelFile(metadata)).description
    }
    #expect(try load(without: "feed_forward_length").feedForwardWidth == 96)
    let error = try #require(throws: ModelError.self) {
      try load(without: "rope.dimension_count")
    }
    #expect(error.description.contains("gptj.rope.dimension_count"), "\(error)")
  }

  // MARK: Files in memory

  fileprivate struct Numbers {
    let shape: [Int]
    let values: [Float]
    init(_ shape: [Int], _ values: [Float]) { (self.shape, self.values) = (shape, values) }
  }

  /// The model of a fixture's GGUF file with other tensors.
  private func load(
    _ name: String, _ change: (inout [String: Numbers]) throws -> Void
  ) throws -> any Transformer {
    let file = try GGUFFile(fixturePath("\(name)/model.gguf"))
    var tensors: [String: Numbers] = [:]
    for info in file.tensors {
      tensors[info.name] = Numbers(info.shape, try file.tensor(info.name).numbers())
    }
    try change(&tensors)
    let architecture = try #require(file["general.architecture"]?.string)
    return try loadTransformer(
      ModelFile(
        GGUFMetadata(
          file: "model.gguf", architecture: architecture, tensors: MemoryTensors(tensors)
        ) { file["\(architecture).\($0)"]?.json }))
  }

  /// Expects the same states and logits, up to the order of summation in products of other shapes.
  private func expectSame(
    _ name: String, _ change: (inout [String: Numbers]) throws -> Void
  ) throws {
    let tokens = try Fixture(name: name, form: .gguf).expected().tokenIds
    let here = try load(name, change)
    let there = try Fixture(name: name, form: .gguf).load()
    #expect(here.description.parameters == there.description.parameters)
    let (x, y) = (
      try Path<Double>(of: [tokens], through: here), try Path<Double>(of: [tokens], through: there)
    )
    for (a, b) in zip(x.states, y.states) { expectClose(a[0].elements, b[0].elements, 1e-12) }
    expectClose(try #require(x.logits).elements, try #require(y.logits).elements, 1e-12)
  }
}

/// Named float32 tensors in memory.
private final class MemoryTensors: TensorSource {
  private final class Bytes: @unchecked Sendable {
    let buffer: UnsafeMutableRawBufferPointer

    init(_ values: [Float]) {
      buffer = .allocate(byteCount: 4 * values.count, alignment: 64)
      values.withUnsafeBytes { buffer.copyMemory(from: $0) }
    }

    deinit { buffer.deallocate() }
  }

  let path = "memory"
  let tensors: [TensorInfo]
  private let bytes: [String: Bytes]

  init(_ tensors: [String: GGUFLayoutTests.Numbers]) {
    self.tensors = tensors.sorted { $0.key < $1.key }.map { name, numbers in
      TensorInfo(
        name: name, shape: numbers.shape, typeName: "F32", elementType: .f32,
        byteRange: 0..<4 * numbers.values.count)
    }
    bytes = tensors.mapValues { Bytes($0.values) }
  }

  func info(_ name: String) -> TensorInfo? { tensors.first { $0.name == name } }

  func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard let info = info(name), let bytes = bytes[name] else {
      throw .missingTensor(file: path, tensor: name)
    }
    return StoredTensor(
      name: name, shape: info.shape, elementType: .f32,
      bytes: UnsafeRawBufferPointer(bytes.buffer), file: path, owner: bytes)
  }

  func checkIntact() {}
}
