import Files
import Weights
import LinearAlgebra

/// A safetensors file: eight bytes with the length of the header, a JSON header, and the numbers.
///
/// The header is checked when the file is opened: every tensor has as many bytes as its shape and type need, and the tensors
/// cover the file from the header to its end without gap or overlap.
/// Format: https://github.com/huggingface/safetensors
public final class SafetensorsFile: MappedTensors {
  /// The mapped file.
  public let file: MappedFile
  /// The strings under `__metadata__`.
  public let metadata: [String: String]
  let table: TensorTable

  /// The format's own limit on a header, in bytes.
  private static let longestHeader: UInt64 = 100_000_000

  /// Maps the file at `path` and reads its header.
  ///
  /// Throws `FileError`: `cannotRead`, `truncated`, `implausibleCount` (the header's length), `notThisFormat`,
  /// `malformedJSON`, `missingField`, `invalidField`, `overflow`, `wrongSize`, `outOfBounds`, `overlap`, `gap`.
  public init(_ path: String) throws(FileError) {
    let file = try MappedFile(path)
    let fileSize = UInt64(file.count)
    guard fileSize >= 8 else {
      throw .truncated(file: path, field: "header length", needed: 8, available: fileSize)
    }
    let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
    guard length <= Self.longestHeader else {
      throw .implausibleCount(
        file: path, field: "header length", count: length, limit: Self.longestHeader)
    }
    guard length <= fileSize - 8 else {
      throw .truncated(file: path, field: "header", needed: length, available: fileSize - 8)
    }
    let dataStart = 8 + Int(length)
    let header = try file.copy(8..<dataStart)
    guard header.first == UInt8(ascii: "{") else {
      throw .notThisFormat(
        file: path, format: "safetensors", reason: "its header does not begin with '{'")
    }
    let parsed = try JSONValue.parse(header, source: path, origin: 8)

    var metadata: [String: String] = [:]
    var infos: [TensorInfo] = []
    for (name, value) in parsed.object?.members ?? [] {
      if name == "__metadata__" {
        metadata = try Self.metadata(value, path)
      } else {
        infos.append(
          try Self.info(name, value, data: dataStart..<file.count, path))
      }
    }
    table = try TensorTable(infos, file: path)
    try table.checkLayout(
      from: dataStart, to: file.count, slack: 1, looseEnd: false, file: path)
    self.file = file
    self.metadata = metadata
  }

  private static func metadata(
    _ value: JSONValue, _ path: String
  ) throws(FileError) -> [String: String] {
    // The format's own reader treats null as absent.
    guard !value.isNull else { return [:] }
    guard let object = value.object else {
      throw .invalidField(file: path, field: "__metadata__", reason: "not an object")
    }
    var result: [String: String] = [:]
    for (key, value) in object.members {
      guard let text = value.string else {
        throw .invalidField(
          file: path, field: "__metadata__.\(key)", reason: "not a string")
      }
      result[key] = text
    }
    return result
  }

  /// The tensor of an entry `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`; offsets are relative to `data`.
  private static func info(
    _ name: String, _ value: JSONValue, data: Range<Int>, _ path: String
  ) throws(FileError) -> TensorInfo {
    func invalid(_ field: String, _ reason: String) -> FileError {
      .invalidField(file: path, field: "\(name).\(field)", reason: reason)
    }
    guard let entry = value.object else {
      throw .invalidField(file: path, field: name, reason: "not an object")
    }
    func member(_ field: String) throws(FileError) -> JSONValue {
      guard let member = entry[field] else {
        throw .missingField(file: path, field: "\(name).\(field)")
      }
      return member
    }
    func naturals(_ field: String) throws(FileError) -> [Int] {
      guard let elements = try member(field).array else { throw invalid(field, "not an array") }
      var result: [Int] = []
      for element in elements {
        guard let number = element.int, number >= 0 else {
          throw invalid(field, "it contains something other than natural numbers")
        }
        result.append(number)
      }
      return result
    }
    guard let typeName = try member("dtype").string else {
      throw invalid("dtype", "not a string")
    }
    let shape = try naturals("shape")
    let offsets = try naturals("data_offsets")
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw invalid("data_offsets", "not a pair of start and end")
    }
    guard offsets[1] <= data.count else {
      throw .outOfBounds(
        file: path, tensor: name, end: UInt64(data.lowerBound) + UInt64(offsets[1]),
        limit: UInt64(data.upperBound))
    }
    guard let count = TensorInfo.count(of: shape) else { throw .overflow(file: path, field: name) }
    if let bits = bits[typeName] {
      let (total, overflow) = count.multipliedReportingOverflow(by: bits)
      guard !overflow, total <= Int.max - 7 else { throw .overflow(file: path, field: name) }
      let (expected, stored) = ((total + 7) / 8, offsets[1] - offsets[0])
      guard expected == stored else {
        throw .wrongSize(file: path, tensor: name, expected: expected, stored: stored)
      }
    }
    return TensorInfo(
      name: name, shape: shape, typeName: typeName, elementType: elementTypes[typeName],
      byteRange: data.lowerBound + offsets[0]..<data.lowerBound + offsets[1])
  }

  /// The types that can be computed with.
  static let elementTypes: [String: ElementType] = [
    "F64": .f64, "F32": .f32, "F16": .f16, "BF16": .bf16, "F8_E4M3": .f8_e4m3,
    "F8_E5M2": .f8_e5m2,
  ]

  /// The bits per number of every type in the format. For unknown types only the offsets are checked.
  private static let bits: [String: Int] = [
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
  ]
}
