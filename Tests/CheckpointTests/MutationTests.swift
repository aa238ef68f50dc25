import Files
import Foundation
import LinearAlgebra
import Testing

@testable import Checkpoint

/// Valid files with some bytes changed, cut or repeated: each is read, or refused with a `FileError`, never a crash. All
/// tensors of an accepted file are read, so that a false claim that passes the checks would touch memory out of bounds.
@Suite struct MutatedFiles {
  private static let rounds = 4000

  /// The bytes after one to four changes, both accidental ones and those that break parsers: flipped bits, extreme values,
  /// repeated or missing pieces.
  private func mutated(_ original: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &generator)
      switch Int.random(in: 0..<7, using: &generator) {
      case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[at] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &generator)!
      case 2: bytes[at] = UInt8.random(in: 0 ... .max, using: &generator)
      case 3:  // eight bytes that are a large integer
        for i in at..<min(at + 8, bytes.count) { bytes[i] = i == at + 7 ? 0x7F : 0xFF }
      case 4: bytes.removeLast(Int.random(in: 0...min(bytes.count, 40), using: &generator))
      case 5:
        let from = Int.random(in: 0..<bytes.count, using: &generator)
        bytes.insert(contentsOf: bytes[from..<min(from + 16, bytes.count)], at: at)
      default: bytes.removeSubrange(at..<min(at + 3, bytes.count))
      }
    }
    return bytes
  }

  /// Reads all tensors.
  private func exhaust(_ source: any TensorSource) throws {
    for info in source.tensors {
      guard let tensor = try? source.tensor(info.name) else { continue }
      #expect(tensor.numbers().count == tensor.count)
    }
    try source.checkIntact()
  }

  @Test(arguments: [UInt64(1), 2]) func json(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let original = Array(
      #"""
      {"a": [1, -2.5e10, true, null, 1e300, {"b\n\u00e9": "x\ud83d\ude00é"}], "vocab": {"Ġthe": 1, "b": 2},
       "k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9}
      """#.utf8)
    var read = 0
    for _ in 0..<Self.rounds {
      let bytes = mutated(original, &generator)
      do throws(FileError) {
        _ = try JSONValue.parse(bytes, source: "x")
        read += 1
        // The Python dialect, a superset, must accept it too.
        _ = try JSONValue.parse(bytes, source: "x", dialect: .python)
      } catch {
        #expect(error.caseName == "malformedJSON")
        _ = try? JSONValue.parse(bytes, source: "x", dialect: .python)
      }
    }
    #expect(read > 0 && read < Self.rounds)
  }

  /// Reads many mutated copies of a fixture; some must be accepted and some refused.
  private func survive(
    _ name: String, seed: UInt64, reading read: (String) throws -> Void
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let folder = try TemporaryFolder()
    let original = try MappedFile(try fixture(name))
    let bytes = try original.copy(0..<original.count)
    var count = 0
    for _ in 0..<Self.rounds {
      let path = try folder.write(mutated(bytes, &generator), to: "mutated")
      do {
        try read(path)
        count += 1
      } catch is FileError {}
    }
    #expect(count > 0 && count < Self.rounds)
  }

  @Test(arguments: [UInt64(3), 4]) func safetensors(seed: UInt64) throws {
    try survive("types.safetensors", seed: seed) { try exhaust(try SafetensorsFile($0)) }
  }

  @Test(arguments: ["metadata.gguf", "Q4_K.gguf"], [UInt64(5), 6])
  func gguf(name: String, seed: UInt64) throws {
    try survive(name, seed: seed) {
      let file = try GGUFFile($0)
      for (_, value) in file.metadata { _ = try? value.array?.values() }
      try exhaust(file)
    }
  }

  @Test(arguments: ["types.bin", "tied.bin"], [UInt64(7), 8])
  func pytorch(name: String, seed: UInt64) throws {
    try survive(name, seed: seed) { try exhaust(try PyTorchFile($0)) }
  }
}
