import Files
import Foundation
import Testing

@testable import Checkpoint

/// Quantised weights whose codes and scales do not match.
@Suite struct QuantizedErrorTests {
  struct Part: Sendable {
    let name: String
    let type: String
    let shape: [Int]
    let bytes: [UInt8]

    /// A tensor with the given bytes, or else as many zero bytes as the shape needs.
    init(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]? = nil) {
      let sizes = ["I32": 4, "F32": 4, "F16": 2, "I64": 8]
      (self.name, self.type, self.shape) = (name, type, shape)
      self.bytes = bytes ?? Array(repeating: 0, count: shape.reduce(sizes[type] ?? 1, *))
    }
  }

  struct Lie: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let method: QuantizationScheme.Method
    let weight: String
    let parts: [Part]
    /// A word that the error must contain.
    let word: String

    init(
      _ description: String, _ method: QuantizationScheme.Method, _ weight: String, _ word: String,
      _ parts: [Part]
    ) {
      (testDescription, self.method, self.weight) = (description, method, weight)
      (self.word, self.parts) = (word, parts)
    }
  }

  private static func state(_ json: String) -> Part {
    let bytes = Array(json.utf8)
    return Part("w.weight.quant_state.bitsandbytes__nf4", "U8", [bytes.count], bytes)
  }
  private static let nf4 = [
    Part("w.weight", "U8", [8, 1]), Part("w.weight.absmax", "F32", [1]),
    Part("w.weight.quant_map", "F32", [16]),
  ]
  private static let gptq = [
    Part("w.qweight", "I32", [1, 8]), Part("w.scales", "F16", [2, 8]),
    Part("w.qzeros", "I32", [2, 1]),
  ]

  static let lies = [
    Lie(
      "scales that do not divide", .fp8, "w.weight", "scale for each block",
      [Part("w.weight", "F8_E4M3", [4, 6]), Part("w.weight_scale_inv", "F32", [3, 1])]),
    Lie(
      "scales of integers", .fp8, "w.weight", "I32",
      [Part("w.weight", "F8_E4M3", [4, 6]), Part("w.weight_scale_inv", "I32", [1])]),
    Lie(
      "scales of another stack", .fp8, "w", "[3, …]",
      [Part("w", "F8_E4M3", [3, 4, 6]), Part("w_scale_inv", "F32", [2, 1, 1])]),
    Lie(
      "a kernel with scales", .fp8, "w.weight", "a matrix",
      [Part("w.weight", "F8_E4M3", [3, 4, 6]), Part("w.weight_scale_inv", "F32", [3, 1, 1])]),
    Lie(
      "zero points of eight bits", .compressedTensors, "w.weight", "zero points",
      [
        Part("w.weight", "I8", [1, 2]), Part("w.weight_scale", "F32", [1]),
        Part("w.weight_zero_point", "I8", [1], [3]),
      ]),
    Lie(
      "exponents of other blocks", .mxfp4, "w", "[1, 2, 3]",
      [Part("w_blocks", "U8", [1, 2, 3, 16]), Part("w_scales", "U8", [1, 3, 2])]),
    Lie(
      "blocks of other sides", .mxfp4, "w", "[experts, outputs, groups, 16]",
      [Part("w_blocks", "U8", [2, 3, 16]), Part("w_scales", "U8", [2, 3])]),
    Lie(
      "another number of bits", .compressedTensors, "w.weight", "weight_shape",
      [
        Part("w.weight_packed", "I32", [1, 2]), Part("w.weight_scale", "F32", [1, 1]),
        Part(
          "w.weight_shape", "I64", [2],
          [1] + Array(repeating: 0, count: 7) + [8]
            + Array(repeating: 0, count: 7)),
      ]),
    Lie(
      "an order by activations", .compressedTensors, "w.weight", "actorder",
      [
        Part("w.weight_packed", "I32", [1, 2]), Part("w.weight_scale", "F32", [1, 1]),
        Part("w.weight_g_idx", "I32", [16]),
      ]),
    Lie(
      "NVFP4", .compressedTensors, "w.weight", "NVFP4",
      [
        Part("w.weight_packed", "U8", [1, 8]), Part("w.weight_scale", "U8", [1, 1]),
        Part("w.weight_global_scale", "F32", [1]),
      ]),
    Lie(
      "a group that is not there", .gptq, "w.weight", "group 2 of 2",
      gptq + [Part("w.g_idx", "I32", [8], [2] + Array(repeating: 0, count: 31))]),
    Lie(
      "groups that do not divide", .gptq, "w.weight", "[groups, 8]",
      [gptq[0], Part("w.scales", "F16", [3, 8]), Part("w.qzeros", "I32", [3, 1])]),
    Lie(
      "zeros of other groups", .gptq, "w.weight", "[2, 1]",
      [gptq[0], gptq[1], Part("w.qzeros", "I32", [1, 1])]),
    Lie("words of no method that has them", .fp8, "w.weight", "quant_method", gptq),
    Lie(
      "scales of AWQ for other outputs", .awq, "w.weight", "[groups, 64]",
      [Part("w.qweight", "I32", [1, 8]), gptq[1], gptq[2]]),
    Lie("a state that is not JSON", .bitsandbytes, "w.weight", "JSON", nf4 + [state("{")]),
    Lie(
      "a state without sizes", .bitsandbytes, "w.weight", "blocksize",
      nf4 + [state(#"{"shape": [4, 4]}"#)]),
    Lie(
      "a state of other sides", .bitsandbytes, "w.weight", "half a byte",
      nf4 + [state(#"{"shape": [4, 6], "blocksize": 64}"#)]),
    Lie(
      "a state of endless sides", .bitsandbytes, "w.weight", "half a byte",
      nf4 + [state(#"{"shape": [4611686018427387904, 4611686018427387904], "blocksize": 64}"#)]),
    Lie(
      "runs of nothing", .bitsandbytes, "w.weight", "blocksize",
      nf4 + [state(#"{"shape": [4, 4], "blocksize": 0}"#)]),
    Lie(
      "fewer scales than runs", .bitsandbytes, "w.weight", "[4]",
      nf4 + [state(#"{"shape": [4, 4], "blocksize": 4}"#)]),
  ]

  private func open(_ lie: Lie) throws -> (TemporaryFolder, QuantizedTensors) {
    var (entries, data): ([String], [UInt8]) = ([], [])
    for part in lie.parts {
      let offsets = [data.count, data.count + part.bytes.count]
      entries.append(
        #""\#(part.name)": {"dtype": "\#(part.type)", "shape": \#(part.shape), "data_offsets": \#(offsets)}"#
      )
      data += part.bytes
    }
    let header = Array("{\(entries.joined(separator: ", "))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
    let folder = try TemporaryFolder()
    let file = try SafetensorsFile(try folder.write(length + header + data, to: "w.safetensors"))
    return (folder, try QuantizedTensors(file, scheme: QuantizationScheme(lie.method)))
  }

  /// A false weight is listed without a usable type, and is an error only when it is requested.
  @Test(arguments: lies) func liesAreRefused(_ lie: Lie) throws {
    let (folder, source) = try open(lie)
    defer { withExtendedLifetime(folder) {} }
    #expect(source.tensors.map(\.name) == [lie.weight])
    #expect(source.info(lie.weight)?.elementType == nil)
    let error = #expect(throws: FileError.self) { try source.tensor(lie.weight) }
    #expect(error?.description.contains(lie.word) == true, "\(String(describing: error))")
  }
}
