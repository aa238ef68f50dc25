import Files
import Weights
import Foundation
import LinearAlgebra
import Testing

@testable import Checkpoint

private let hostileFiles: [HostileFile] = [
  HostileFile("empty file", [], "cannotRead", "empty"),
  HostileFile("three bytes", Array("GGU".utf8), "notThisFormat", "GGUF"),
  HostileFile("another magic", GGUFBuilder.changed { $0.magic = "GGML" }, "notThisFormat", "GGUF"),
  HostileFile(
    "big-endian", GGUFBuilder.changed { $0.version = UInt32(3).byteSwapped }, "notThisFormat",
    "big-endian"),
  HostileFile(
    "version 1", GGUFBuilder.changed { $0.version = 1 }, "unsupportedVersion", "version 1"),
  HostileFile(
    "version 4", GGUFBuilder.changed { $0.version = 4 }, "unsupportedVersion", "version 4"),
  HostileFile(
    "more tensors than bytes", GGUFBuilder.changed { $0.tensorCount = 1 << 40 }, "implausibleCount",
    "tensor count"),
  HostileFile(
    "2⁶⁴ − 1 metadata", GGUFBuilder.changed { $0.metadataCount = .max }, "implausibleCount",
    "metadata count"),
  // The first tensor is read as metadata of the key 'w' and the type 2, and what follows makes no sense.
  HostileFile(
    "one metadata too many", GGUFBuilder.changed { $0.metadataCount = 3 }, "truncated",
    "name of tensor 0"),
  // The padding is read as a tensor with the empty name, which ends with the file.
  HostileFile(
    "one tensor too many",
    GGUFBuilder.changed {
      $0.tensorCount = 5; $0.data = 0
    }, "truncated",
    "tensor"),
  HostileFile(
    "key longer than the file",
    GGUFBuilder.changed {
      $0.metadata = []; $0.metadataCount = 2; $0.tensors[0].name = ""
    }
    .replacing(8, at: 24, with: UInt64.max), "truncated", "key of metadata 0"),
  HostileFile(
    "duplicate key", GGUFBuilder.with("count", 4) { $0.put(UInt32(8)) }, "duplicateName",
    "\"count\""),
  HostileFile(
    "unknown type of value", GGUFBuilder.with("new", 13) { $0.put(UInt32(8)) }, "invalidField",
    "\"new\""),
  HostileFile(
    "string that ends after the file", GGUFBuilder.with("t", 8) { $0.put("a", length: 1 << 62) },
    "truncated", "\"t\""),
  HostileFile(
    "array longer than the file",
    GGUFBuilder.with("t", 9) {
      $0.put(UInt32(12)); $0.put(UInt64(1) << 61)
    }, "implausibleCount", "\"t\""),
  HostileFile(
    "array of an unknown type",
    GGUFBuilder.with("t", 9) {
      $0.put(UInt32(99)); $0.put(UInt64(0))
    },
    "invalidField", "\"t\""),
  HostileFile(
    "string in an array that ends after the file",
    GGUFBuilder.with("t", 9) {
      $0.put(UInt32(8))
      $0.put(UInt64(2))
      $0.put("ok")
      $0.put("no", length: 1 << 40)
    }, "truncated", "\"t\""),
  HostileFile(
    "arrays nested too deeply",
    GGUFBuilder.with("t", 9) {
      for _ in 0..<1000 {
        $0.put(UInt32(9))
        $0.put(UInt64(1))
      }
    }, "invalidField", "\"t\""),
  HostileFile(
    "alignment 0", GGUFBuilder.with("general.alignment", 4) { $0.put(UInt32(0)) }, "invalidField",
    "general.alignment"),
  HostileFile(
    "alignment 48", GGUFBuilder.with("general.alignment", 4) { $0.put(UInt32(48)) }, "invalidField",
    "general.alignment"),
  HostileFile(
    "alignment is a string", GGUFBuilder.with("general.alignment", 8) { $0.put("32") },
    "invalidField",
    "general.alignment"),
  HostileFile(
    "alignment that the offsets violate",
    GGUFBuilder.changed {
      $0.metadata.append(("general.alignment", 4, ByteBuilder.make { $0.put(UInt32(128)) }))
      $0.alignment = 128
    }, "misaligned", "\"b\""),
  HostileFile(
    "duplicate tensor", GGUFBuilder.changed { $0.tensors[1].name = "w" }, "duplicateName", "\"w\""),
  HostileFile("five dimensions", GGUFBuilder.with([1, 1, 1, 1, 6]), "implausibleCount", "w"),
  HostileFile(
    "2³² − 1 dimensions",
    GGUFBuilder.changed {
      $0.data = 0; $0.tensors = []
    }
    .withTensorOf(dimensions: .max), "implausibleCount", "w"),
  HostileFile("side of 2⁶⁴ − 1", GGUFBuilder.with([.max]), "overflow", "\"w\""),
  HostileFile("sides that overflow", GGUFBuilder.with([1 << 32, 1 << 32]), "overflow", "\"w\""),
  HostileFile(
    "sides that overflow after a zero", GGUFBuilder.with([1 << 32, 1 << 32, 0]), "overflow",
    "\"w\""),
  HostileFile("bytes that overflow", GGUFBuilder.with([1 << 62]), "overflow", "\"w\""),
  HostileFile("sides for more than the file", GGUFBuilder.with([1 << 40]), "outOfBounds", "\"w\""),
  HostileFile(
    "row that is half a block", GGUFBuilder.with([16, 4], type: 2), "invalidField", "Q4_0"),
  HostileFile(
    "row that is not a superblock", GGUFBuilder.with([32, 8], type: 12), "invalidField", "Q4_K"),
  HostileFile("offset 1", GGUFBuilder.with([3, 2], offset: 1), "misaligned", "\"w\""),
  HostileFile(
    "offset beyond the file", GGUFBuilder.with([3, 2], offset: 1 << 40), "outOfBounds", "\"w\""),
  HostileFile(
    "offset that overflows", GGUFBuilder.with([3, 2], offset: .max - 31), "outOfBounds", "\"w\""),
  HostileFile("overlapping tensors", GGUFBuilder.with([3, 3]), "overlap", "\"w\""),
  HostileFile(
    "two tensors at one place", GGUFBuilder.changed { $0.tensors[1].offset = 0 }, "overlap", "\"w\""
  ),
  HostileFile(
    "gap between tensors",
    GGUFBuilder.changed {
      $0.tensors[1].offset = 64
      $0.data = 84
    }, "gap", "\"b\""),
  HostileFile("last number cut off", GGUFBuilder.changed { $0.data = 51 }, "outOfBounds", "\"b\""),
  HostileFile("no numbers at all", GGUFBuilder.changed { $0.data = 0 }, "outOfBounds", "\"w\""),
]

extension [UInt8] {
  /// These bytes, with `count` of them replaced by those of an integer.
  fileprivate func replacing<T: FixedWidthInteger>(_ count: Int, at start: Int, with value: T)
    -> [UInt8]
  {
    Array(self[..<start]) + ByteBuilder.make { $0.put(value) } + Array(self[(start + count)...])
  }

  /// These bytes, which announce no tensor, followed by the entry of a tensor with this number of dimensions.
  fileprivate func withTensorOf(dimensions: UInt32) -> [UInt8] {
    var builder = GGUFBuilder()
    builder.tensorCount = 1
    builder.alignment = 1
    return builder.bytes
      + ByteBuilder.make {
        $0.put("w")
        $0.put(dimensions)
        for _ in 0..<20 { $0.put(UInt64(1)) }
      }
  }
}

@Test(arguments: hostileFiles)
func lyingGGUFFilesAreRefused(_ hostile: HostileFile) throws {
  try hostile.expectRefusal("m.gguf") { _ = try GGUFFile($0) }
}

@Test func everyTruncationOfGGUFIsRefused() throws {
  let whole = GGUFBuilder.honest.bytes
  let folder = try TemporaryFolder()
  for length in 0..<whole.count {
    let path = try folder.write(Array(whole[..<length]), to: "cut.gguf")
    #expect(throws: FileError.self) { try GGUFFile(path) }
  }
}

@Test(arguments: [UInt32(2), 3]) func honestGGUFIsRead(version: UInt32) throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(GGUFBuilder.changed { $0.version = version }, to: "m.gguf")
  let file = try GGUFFile(path)
  #expect(file.version == Int(version))
  #expect(file.metadata.map(\.key) == ["general.architecture", "count"])
  #expect(file.tensors.map(\.shape) == [[2, 3], [5]])
  #expect(file.tensors.allSatisfy { $0.byteRange.lowerBound % 32 == 0 })
  #expect(try file.string("general.architecture") == "test")
  #expect(try file.int("count") == 7)
  #expect(throws: FileError.missingField(file: path, field: "x")) { try file.int("x") }
  #expect(throws: FileError.invalidField(file: path, field: "count", reason: "not a string")) {
    try file.string("count")
  }
}

/// Tensors of types without a kernel, of known and of unknown size, are listed, and the tensors after them can be used.
@Test(arguments: [(UInt32(40), "NVFP4"), (24, "I8"), (77, "type 77")])
func unsupportedGGUFTypesAreListedAndRefusedWhenUsed(type: UInt32, name: String) throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(
    GGUFBuilder.changed {
      $0.tensors = [("iq", [256], type, 0), ("b", [5], 0, 256)]
      if type == 40 { $0.tensors[1].offset = 160 }  // 144 bytes, padded
      $0.data = Int($0.tensors[1].offset) + 20
    }, to: "m.gguf")
  let file = try GGUFFile(path)
  #expect(file.info("iq")?.typeName == name)
  #expect(file.info("iq")?.elementType == nil)
  #expect(throws: FileError.unsupportedType(file: path, tensor: "iq", type: name)) {
    try file.tensor("iq")
  }
  #expect(try file.tensor("b").vector() == [0, 0, 0, 0, 0])
}

@Test func theTypesSizesAreThoseOfTheKernels() {
  for type in ElementType.allCases where type.isGGUF {
    let known = GGMLType.all[UInt32(type.rawValue)]
    #expect(known?.name == type.name)
    #expect(known?.blockLength == type.blockLength)
    #expect(known?.blockBytes == type.blockBytes)
  }
}

@Test func nestedAndEmptyArraysAreRead() throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(
    GGUFBuilder.with("nested", 9) {
      $0.put(UInt32(9))
      $0.put(UInt64(3))
      for row in [[1, 2, 3], [], [4]] as [[Int16]] {
        $0.put(UInt32(3))
        $0.put(UInt64(row.count))
        for number in row { $0.put(number) }
      }
    }, to: "m.gguf")
  let nested = try GGUFFile(path).array("nested")
  #expect(nested.elementType == .array && nested.count == 3)
  let rows = try nested.values().compactMap { try $0.array?.integers() }
  #expect(rows == [[1, 2, 3], [], [4]])
  #expect(throws: FileError.self) { try nested.integers() }
  #expect(throws: FileError.self) { try nested.strings() }
}

/// What llama.cpp does not check either is read: strings and keys in other encodings, a Boolean that is neither 0 nor 1.
@Test func metadataThatLlamaCppReadsIsRead() throws {
  let folder = try TemporaryFolder()
  let text = GGUFBuilder.with("t", 8) {
    $0.put(UInt64(2)); $0.put(UInt8(0xE9)); $0.put(UInt8(0x41))
  }
  #expect(try GGUFFile(folder.write(text, to: "a.gguf")).string("t") == "\u{FFFD}A")
  let truth = GGUFBuilder.with("t", 7) { $0.put(UInt8(2)) }
  #expect(try GGUFFile(folder.write(truth, to: "b.gguf")).bool("t"))
  let key = GGUFBuilder.honest.bytes.replacing(1, at: 32, with: UInt8(0xFF))
  let file = try GGUFFile(folder.write(key, to: "c.gguf"))
  #expect(file.metadata[0].key.hasPrefix("\u{FFFD}eneral") && file.tensors.count == 2)
}

@Test func aTextInAnArrayMayBeAskedForAsBytes() throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(
    GGUFBuilder.with("tokens", 9) {
      $0.put(UInt32(8))
      $0.put(UInt64(2))
      $0.put("ok")
      $0.put(UInt64(2))
      $0.bytes += [0xFF, 0x41]
    }, to: "m.gguf")
  let tokens = try GGUFFile(path).array("tokens")
  #expect(try tokens.strings() == ["ok", "\u{FFFD}A"])
  var all: [[UInt8]] = []
  try tokens.forEachString { all.append(Array($0)) }
  #expect(all == [Array("ok".utf8), [0xFF, 0x41]])
}

/// An array is read from the file when it is requested, and the file may have changed by then.
@Test func anArrayOfAFileThatChangedIsAnError() throws {
  let folder = try TemporaryFolder()
  let path = try folder.write(
    GGUFBuilder.with("t", 9) {
      $0.put(UInt32(8))
      $0.put(UInt64(1000))
      for _ in 0..<1000 { $0.put("some text") }
    }, to: "m.gguf")
  let array = try GGUFFile(path).array("t")
  #expect(try array.strings().count == 1000)
  #expect(truncate(path, 4096) == 0)
  #expect(throws: FileError.self) { try array.strings() }
  // Overwritten in place: reading stays within the file, whatever the lengths now are.
  try Data(repeating: 0xFF, count: 30_000).write(to: URL(fileURLWithPath: path), options: [])
  #expect(throws: FileError.self) { try array.strings() }
}

@Suite struct FilesOfThePythonPackages {
  @Test func metadataOfEveryKind() throws {
    let file = try GGUFFile(try fixture("metadata.gguf"))
    #expect(try file.string("general.architecture") == "test")
    #expect(try file.int("u8") == 200 && file.int("i8") == -100)
    #expect(try file.int("u16") == 60000 && file.int("i16") == -30000)
    #expect(try file.int("u32") == 4_000_000_000 && file.int("i32") == -2_000_000_000)
    guard case .unsigned(.max) = file["u64"] else {
      Issue.record("u64 is \(String(describing: file["u64"]))")
      return
    }
    #expect(file["u64"]?.int == nil && file["u64"]?.double == 0x1p64)
    #expect(try file.int("i64") == .min)
    #expect(try file.double("f32") == Double(Float(0.1)) && file.double("f64") == 0.1)
    #expect(try file.bool("yes") && !file.bool("no"))
    #expect(try file.string("text") == "é\n\0end")
    #expect(
      try file.array("strings").strings() == ["a", "", "Ġé", String(repeating: "x", count: 100)])
    #expect(try file.array("integers").integers() == [-1, 0, 1, 2_147_483_647])
    #expect(try file.array("reals").reals() == [0.5, -1e30].map { Double(Float($0)) })
    #expect(try file.array("bools").values().map(\.bool) == [true, false, true])
    #expect(try file.array("bytes").integers() == [0, 1, 255])
    #expect(try file.int("general.alignment") == 64)
    #expect(file.tensors.map(\.name) == ["w", "b"])
    #expect(file.tensors.map(\.shape) == [[2, 3], [5]])
    #expect(file.tensors.allSatisfy { $0.byteRange.lowerBound % 64 == 0 })
  }

  /// Tensors of every type have the shape, the type and, bit for bit, the numbers that the Python package reads.
  @Test(arguments: ElementType.allCases.filter(\.isGGUF)) func everyTypeOfGGUF(type: ElementType)
    throws
  {
    let file = try GGUFFile(try fixture("\(type.name).gguf"))
    let tensor = try file.tensor("w")
    #expect(tensor.elementType == type && tensor.shape == [3, 512])
    let raw = try MappedFile(try fixture("\(type.name).f32"))
    let expected = try raw.copy(0..<raw.count).withUnsafeBytes { bytes in
      (0..<3 * 512).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self) }
    }
    #expect(tensor.numbers().map(\.bitPattern) == expected)
    #expect(try tensor.matrix().row(2).map(\.bitPattern) == Array(expected[1024...]))
    #expect(try tensor.rows(1..<3).matrix().row(0).map(\.bitPattern) == Array(expected[512..<1024]))
    #expect(try file.tensor("b").vector(count: 7).allSatisfy(\.isFinite))
  }

  @Test func everyTypeOfSafetensors() throws {
    let path = try fixture("types.safetensors")
    let file = try SafetensorsFile(path)
    #expect(file.metadata == ["format": "pt", "text": "é\n\"\\"])
    let expected = try #require(try JSONValue.parse(file: path + ".json").object)
    #expect(Set(file.tensors.map(\.name)) == Set(expected.members.map(\.key)))
    for (name, value) in expected.members {
      let entry = try #require(value.object)
      let shape = try #require(entry["shape"]?.array).compactMap(\.int)
      #expect(file.info(name)?.shape == shape)
      guard name != "ids" else {
        #expect(throws: FileError.self) { try file.tensor(name) }
        continue
      }
      let numbers = try #require(entry["numbers"]?.array).compactMap(\.double)
      #expect(try file.tensor(name).numbers() == numbers.map { Float($0) }, "\(name)")
    }
    #expect(try file.tensor("kernel").flattened.matrix(rows: 2, columns: 12).rows == 2)
    #expect(try file.tensor("bias").vector(count: 4).count == 4)
  }
}
