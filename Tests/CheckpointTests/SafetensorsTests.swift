import Files
import Weights
import LinearAlgebra
import Testing

@testable import Checkpoint

/// A file with this header, without padding, and `data` zero bytes of numbers.
private func safetensors(_ header: String, data: Int = 24, length: UInt64? = nil) -> [UInt8] {
  ByteBuilder.make {
    $0.put(length ?? UInt64(header.utf8.count))
    $0.bytes += Array(header.utf8) + Array(repeating: 0, count: data)
  }
}

private func entry(
  _ name: String = "w", _ dtype: String = "\"F32\"", _ shape: String = "[2,3]",
  _ offsets: String = "[0,24]"
) -> String {
  "\"\(name)\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}"
}

private let hostileFiles: [HostileFile] = [
  HostileFile("empty file", [], "cannotRead", "empty"),
  HostileFile("seven bytes", [1, 2, 3, 4, 5, 6, 7], "truncated", "header length"),
  HostileFile(
    "header longer than the file", safetensors("{}", data: 0, length: 3), "truncated", "header"),
  HostileFile(
    "header of 2⁶⁴ − 1 bytes", safetensors("{}", length: .max), "implausibleCount", "header length"),
  HostileFile(
    "header beyond the format's limit", safetensors("{}", length: 100_000_001), "implausibleCount",
    "header length"),
  HostileFile("empty header", safetensors("", data: 0), "notThisFormat", "safetensors"),
  HostileFile(
    "header begins with space", safetensors(" {}", data: 0), "notThisFormat", "safetensors"),
  HostileFile("header is an array", safetensors("[]", data: 0), "notThisFormat", "safetensors"),
  HostileFile("header is not JSON", safetensors("{\(entry())", data: 24), "malformedJSON", "byte"),
  HostileFile(
    "header is not UTF-8",
    ByteBuilder.make {
      $0.put(UInt64(7)); $0.bytes += [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D]
    },
    "malformedJSON", "byte 10"),
  HostileFile(
    "deep nesting", safetensors("{\"w\":" + String(repeating: "[", count: 100_000), data: 0),
    "malformedJSON", "nested"),
  HostileFile(
    "duplicate name", safetensors("{\(entry()),\(entry("w", "\"F32\"", "[0]", "[24,24]"))}"),
    "malformedJSON", "\"w\""),
  HostileFile("entry is not an object", safetensors("{\"w\":3}"), "invalidField", "\"w\""),
  HostileFile(
    "no dtype", safetensors(#"{"w":{"shape":[6],"data_offsets":[0,24]}}"#), "missingField",
    "w.dtype"),
  HostileFile(
    "no shape", safetensors(#"{"w":{"dtype":"F32","data_offsets":[0,24]}}"#), "missingField",
    "w.shape"),
  HostileFile(
    "no offsets", safetensors(#"{"w":{"dtype":"F32","shape":[6]}}"#), "missingField",
    "w.data_offsets"),
  HostileFile("dtype is a number", safetensors("{\(entry("w", "32"))}"), "invalidField", "w.dtype"),
  HostileFile(
    "negative side", safetensors("{\(entry("w", "\"F32\"", "[-2,-3]"))}"), "invalidField", "w.shape"
  ),
  HostileFile(
    "fractional side", safetensors("{\(entry("w", "\"F32\"", "[2.0,3]"))}"), "invalidField",
    "w.shape"),
  HostileFile(
    "side of 2⁶⁴", safetensors("{\(entry("w", "\"F32\"", "[18446744073709551616]"))}"),
    "invalidField", "w.shape"),
  HostileFile(
    "shape overflows", safetensors("{\(entry("w", "\"F32\"", "[4294967296,4294967296]"))}"),
    "overflow", "\"w\""),
  HostileFile(
    "shape overflows after a zero",
    safetensors("{\(entry("w", "\"F32\"", "[0,4294967296,4294967296]", "[0,0]"))}", data: 0),
    "overflow", "\"w\""),
  HostileFile(
    "bytes overflow", safetensors("{\(entry("w", "\"F64\"", "[4611686018427387904]"))}"),
    "overflow", "\"w\""),
  HostileFile(
    "one offset", safetensors("{\(entry("w", "\"F32\"", "[2,3]", "[0]"))}"), "invalidField",
    "w.data_offsets"),
  HostileFile(
    "offsets reversed", safetensors("{\(entry("w", "\"F32\"", "[2,3]", "[24,0]"))}"),
    "invalidField", "w.data_offsets"),
  HostileFile(
    "negative offset", safetensors("{\(entry("w", "\"F32\"", "[2,3]", "[-24,0]"))}"),
    "invalidField", "w.data_offsets"),
  HostileFile(
    "fewer bytes than the shape needs", safetensors("{\(entry("w", "\"F32\"", "[2,4]"))}"),
    "wrongSize", "\"w\""),
  HostileFile(
    "more bytes than the shape needs", safetensors("{\(entry("w", "\"BF16\""))}"), "wrongSize",
    "\"w\""),
  HostileFile(
    "odd number of nibbles", safetensors("{\(entry("w", "\"F4\"", "[3]", "[0,1]"))}", data: 1),
    "wrongSize", "\"w\""),
  HostileFile("numbers cut off", safetensors("{\(entry())}", data: 23), "outOfBounds", "\"w\""),
  HostileFile(
    "offset at the end of the integers",
    safetensors(
      "{\(entry("w", "\"I8\"", "[0]", "[9223372036854775807,9223372036854775807]"))}", data: 0),
    "outOfBounds", "\"w\""),
  HostileFile(
    "bytes after the last tensor", safetensors("{\(entry())}", data: 25), "gap", "\"w\""),
  HostileFile("bytes and no tensor", safetensors("{}", data: 1), "gap", "1 bytes"),
  HostileFile(
    "gap before the first tensor", safetensors("{\(entry("w", "\"F32\"", "[5]", "[4,24]"))}"),
    "gap", "\"w\""),
  HostileFile(
    "gap between tensors",
    safetensors(
      "{\(entry("a", "\"F32\"", "[2]", "[0,8]")),\(entry("b", "\"F32\"", "[3]", "[12,24]"))}"),
    "gap", "\"b\""),
  HostileFile(
    "overlapping tensors",
    safetensors(
      "{\(entry("a", "\"F32\"", "[4]", "[0,16]")),\(entry("b", "\"F32\"", "[3]", "[12,24]"))}"),
    "overlap", "\"b\""),
  HostileFile(
    "the same bytes twice", safetensors("{\(entry("a")),\(entry("b"))}"), "overlap", "\"a\""),
  HostileFile(
    "metadata is not an object", safetensors(#"{"__metadata__":7}"#, data: 0), "invalidField",
    "__metadata__"),
  HostileFile(
    "metadata is not a string", safetensors(#"{"__metadata__":{"a":1}}"#, data: 0), "invalidField",
    "__metadata__.a"),
]

@Test(arguments: hostileFiles)
func lyingSafetensorsAreRefused(_ hostile: HostileFile) throws {
  try hostile.expectRefusal("m.safetensors") { _ = try SafetensorsFile($0) }
}

@Test func everyTruncationOfSafetensorsIsRefused() throws {
  let whole = safetensors("{\(entry())}")
  let folder = try TemporaryFolder()
  for length in 0..<whole.count {
    let path = try folder.write(Array(whole[..<length]), to: "cut.safetensors")
    #expect(throws: FileError.self) { try SafetensorsFile(path) }
  }
  _ = try SafetensorsFile(try folder.write(whole, to: "whole.safetensors"))
}

@Test func unsupportedTypesAreListedAndRefusedWhenUsed() throws {
  let folder = try TemporaryFolder()
  let header = "{\(entry("ids", "\"I64\"", "[3]")),\(entry("new", "\"F3_NEW\"", "[5]", "[24,26]"))}"
  let file = try SafetensorsFile(
    try folder.write(safetensors(header, data: 26), to: "m.safetensors"))
  #expect(file.tensors.map(\.typeName) == ["I64", "F3_NEW"])
  #expect(file.tensors.allSatisfy { $0.elementType == nil })
  let error = try #require(throws: FileError.self) { try file.tensor("ids") }
  #expect(error == .unsupportedType(file: file.file.path, tensor: "ids", type: "I64"))
  #expect(throws: FileError.missingTensor(file: file.file.path, tensor: "w")) {
    try file.tensor("w")
  }
}

@Test func tensorsWithoutNumbersAreTensors() throws {
  let folder = try TemporaryFolder()
  let header =
    "{\(entry("a", "\"F32\"", "[0,7]", "[0,0]")),\(entry("b", "\"F32\"", "[]", "[0,4]"))}"
  let file = try SafetensorsFile(
    try folder.write(safetensors(header, data: 4), to: "m.safetensors"))
  #expect(try file.tensor("a").matrix().rows == 0)
  #expect(try file.tensor("a").numbers() == [])
  #expect(try file.tensor("b").numbers() == [0])
  #expect(throws: FileError.self) { try file.tensor("b").vector() }
  let none = try SafetensorsFile(
    try folder.write(safetensors("{}", data: 0), to: "none.safetensors"))
  #expect(none.tensors.isEmpty)
}

/// Names that are equal by Swift's `==` but have different bytes name different tensors.
@Test func tensorNamesAreBytes() throws {
  let folder = try TemporaryFolder()
  let header =
    "{\(entry("\u{e9}", "\"F32\"", "[1]", "[0,4]")),\(entry("e\u{301}", "\"F32\"", "[2]", "[4,12]"))}"
  let file = try SafetensorsFile(
    try folder.write(safetensors(header, data: 12), to: "m.safetensors"))
  #expect(file.info("\u{e9}")?.shape == [1])
  #expect(file.info("e\u{301}")?.shape == [2])
}

@Suite struct WrittenFiles {
  /// F32 is read back bit for bit; F16 and BF16 are read back rounded to nearest even.
  @Test(arguments: [ElementType.f32, .bf16, .f16])
  func roundTrip(type: ElementType) throws {
    let folder = try TemporaryFolder()
    var generator = SeededGenerator(seed: 7)
    var numbers = (0..<200).map { _ in Float(generator.normal()) }
    numbers += [0, -0.0, 1, -2, .infinity, -.infinity, 65504, 1e-7, 3e38, -0x1p-140]
    let path = folder.path + "/new.safetensors"
    try SafetensorsWriter.write(
      [
        (.init(name: "a.\"quoted\"\n", shape: [numbers.count], elementType: type), numbers),
        (.init(name: "none", shape: [3, 0], elementType: type), []),
        (.init(name: "b", shape: [2, 3], elementType: .f32), [1, 2, 3, 4, 5, 6]),
        (.init(name: "last", shape: [0], elementType: .bf16), []),
      ], to: path, metadata: ["format": "pt", "note": "tab\there"])
    let file = try SafetensorsFile(path)
    #expect(file.metadata == ["format": "pt", "note": "tab\there"])
    #expect(file.tensors.map(\.name) == ["a.\"quoted\"\n", "none", "b", "last"])
    #expect((file.tensors[0].byteRange.lowerBound) % 64 == 0)
    let stored = try file.tensor("a.\"quoted\"\n")
    #expect(stored.elementType == type && stored.shape == [numbers.count])
    let expected: [UInt32] = numbers.map {
      switch type {
      case .f16: Float(Float16($0)).bitPattern
      case .bf16: roundedToBF16($0).bitPattern
      default: $0.bitPattern
      }
    }
    let bits: [UInt32] = stored.bytes.withMemoryRebound(to: UInt8.self) { _ in
      (0..<numbers.count).map { i in
        switch type {
        case .f16:
          Float(
            Float16(bitPattern: stored.bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
          )
          .bitPattern
        case .bf16: UInt32(stored.bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) << 16
        default: stored.bytes.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self)
        }
      }
    }
    #expect(bits == expected)
    let b = try file.tensor("b")
    #expect(try b.matrix(rows: 2, columns: 3).row(1) == [4, 5, 6])
    #expect(try b.rows(1..<2).matrix().row(0) == [4, 5, 6])
    #expect(b.rows(1..<2).shape == [1, 3])
    #expect(throws: FileError.self) { try b.matrix(rows: 3, columns: 2) }
    #expect(throws: FileError.self) { try b.vector() }
    #expect(throws: FileError.self) { try stored.vector(count: 3) }
  }

  /// The nearer of the two neighbours in BF16, or the even one of a tie, found by distance rather than by bit operations.
  private func roundedToBF16(_ x: Float) -> Float {
    guard x.isFinite else { return x }
    let low = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
    let high = Float(bitPattern: (x.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
    // After the largest finite number the next would be 2¹²⁸, which has the bit pattern of infinity.
    let highValue = high.isFinite ? Double(high) : (x < 0 ? -0x1p128 : 0x1p128)
    let (below, above) = (abs(Double(x) - Double(low)), abs(highValue - Double(x)))
    if below != above { return below < above ? low : high }
    return low.bitPattern >> 16 & 1 == 0 ? low : high
  }

  @Test func notANumberStaysOne() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/nan.safetensors"
    let numbers = [Float.nan, Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF)]
    try SafetensorsWriter.write(
      [(.init(name: "x", shape: [3], elementType: .bf16), numbers)], to: path)
    #expect(try SafetensorsFile(path).tensor("x").numbers().allSatisfy(\.isNaN))
  }

  @Test func piecesOfAnyLengthMakeTheSameFile() throws {
    let folder = try TemporaryFolder()
    let entries: [SafetensorsWriter.Entry] = [
      .init(name: "a", shape: [5, 7]), .init(name: "b", shape: [11], elementType: .f16),
    ]
    let numbers = (0..<46).map { Float($0) }
    try SafetensorsWriter.write(
      [(entries[0], Array(numbers[..<35])), (entries[1], Array(numbers[35...]))],
      to: folder.path + "/whole")
    let writer = try SafetensorsWriter(folder.path + "/pieces", entries: entries)
    for start in stride(from: 0, to: 46, by: 10) {
      try writer.append(numbers[start..<min(start + 10, 46)])
    }
    #expect(throws: FileError.self) { try MappedFile(folder.path + "/pieces") }
    try writer.finish()
    let files = try ["whole", "pieces"].map { name in
      let file = try MappedFile("\(folder.path)/\(name)")
      return try file.copy(0..<file.count)
    }
    #expect(files[0] == files[1])
  }

  @Test func anAbandonedFileLeavesNothing() throws {
    let folder = try TemporaryFolder()
    do {
      let writer = try SafetensorsWriter(
        folder.path + "/x", entries: [.init(name: "a", shape: [100])])
      try writer.append([1, 2, 3])
    }
    #expect(try filesIn(folder.path) == [])
  }

  @Test func aFolderThatIsNotThereIsNamed() {
    let error = #expect(throws: FileError.self) {
      try SafetensorsWriter("/nonexistent/folder/x.safetensors", entries: [])
    }
    #expect(error?.caseName == "cannotWrite")
    #expect(error?.description.contains("/nonexistent/folder/x.safetensors") == true)
  }
}

/// Null metadata count as absent, as in the format's own reader.
@Test func metadataThatIsNull() throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(
    safetensors("{\"__metadata__\":null,\(entry())}"), to: "null.safetensors")
  let file = try SafetensorsFile(path)
  #expect(file.metadata.isEmpty && file.tensors.map(\.name) == ["w"])
}
