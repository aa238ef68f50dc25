import Files
import Foundation
import Testing

@testable import Checkpoint

@Suite struct PyTorchFiles {
  /// The tensors equal those of the safetensors file with the same weights, bit for bit.
  @Test(arguments: ["types.bin", "protocol4.bin"])
  func theSameWeightsAsSafetensors(name: String) throws {
    let file = try PyTorchFile(try fixture(name))
    let twin = try SafetensorsFile(try fixture("types.safetensors"))
    #expect(Set(file.tensors.map(\.name)) == Set(twin.tensors.map(\.name)))
    for info in twin.tensors {
      let own = try #require(file.info(info.name))
      #expect(own.shape == info.shape && own.typeName == info.typeName)
      #expect(own.elementType == info.elementType)
      #expect(file.file.bytes[own.byteRange].elementsEqual(twin.file.bytes[info.byteRange]))
      guard info.elementType != nil else { continue }
      #expect(try file.tensor(info.name).bytes.elementsEqual(twin.tensor(info.name).bytes))
    }
    #expect(
      throws: FileError.unsupportedType(file: file.file.path, tensor: "ids", type: "I64")
    ) {
      try file.tensor("ids")
    }
    #expect(throws: FileError.missingTensor(file: file.file.path, tensor: "w")) {
      try file.tensor("w")
    }
    try file.checkIntact()
  }

  @Test func storagesAreSharedAndCutOut() throws {
    let file = try PyTorchFile(try fixture("tied.bin"))
    #expect(file.tensors.map(\.name) == ["embedding.weight", "head.weight", "rows"])
    #expect(file.info("head.weight")?.byteRange == file.info("embedding.weight")?.byteRange)
    #expect(try file.tensor("head.weight").numbers() == (0..<12).map(Float.init))
    #expect(try file.tensor("rows").matrix(rows: 2, columns: 3).row(1) == [6, 7, 8])
  }

  @Test func aTransposedViewIsRefused() throws {
    let path = try fixture("transposed.bin")
    let thrown = #expect(throws: FileError.self) { try PyTorchFile(path) }
    #expect(thrown == .strided(file: path, tensor: "w", shape: [4, 3], strides: [1, 4]))
    #expect(thrown?.description.contains("contiguous()") == true)
  }

  @Test func theFormatBefore16IsRefusedByName() throws {
    let path = try fixture("legacy.bin")
    let thrown = #expect(throws: FileError.self) { try PyTorchFile(path) }
    for text in [path, "1.6", "save_file"] {
      #expect(thrown?.description.contains(text) == true, "\(String(describing: thrown))")
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let whole = PyTorchBuilder().bytes
    let folder = try TemporaryFolder()
    for length in 0..<whole.count {
      let path = try folder.write(Array(whole[..<length]), to: "cut.bin")
      #expect(throws: FileError.self) { try PyTorchFile(path) }
    }
    let path = try folder.write(whole, to: "whole.bin")
    #expect(try PyTorchFile(path).tensor("w").numbers() == [0, 1, 2, 3, 4, 5])
  }

  @Test(arguments: hostilePickles + hostileTensors + hostileArchives)
  func lyingFilesAreRefused(_ hostile: HostileFile) throws {
    try hostile.expectRefusal("m.bin") { _ = try PyTorchFile($0) }
  }

  /// Other files in the folder are ignored; an index of pickles comes after a single pickle, and pickles after safetensors.
  @Test func foldersOfPickles() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try folder.write("no weights", to: "training_args.bin")
    let thrown = #expect(throws: FileError.self) { try open(folder.path) }
    #expect(thrown?.caseName == "notAModel")

    try folder.write(PyTorchBuilder(key: "a").bytes, to: "pytorch_model-00001-of-00002.bin")
    try folder.write(PyTorchBuilder(key: "b").bytes, to: "pytorch_model-00002-of-00002.bin")
    try folder.write(
      #"""
      {"weight_map": {
        "a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}
      """#, to: "pytorch_model.bin.index.json")
    #expect(try open(folder.path).tensors.tensors.map(\.name) == ["a", "b"])

    try folder.write(PyTorchBuilder(key: "c").bytes, to: "pytorch_model.bin")
    let model = try open(folder.path)
    #expect(model.tensors.tensors.map(\.name) == ["c"])
    #expect(try model.tensors.tensor("c").vector() == [0, 1, 2, 3, 4, 5])

    let entry = SafetensorsWriter.Entry(name: "d", shape: [1])
    try SafetensorsWriter.write([(entry, [7])], to: folder.path + "/model.safetensors")
    #expect(try open(folder.path).tensors.tensors.map(\.name) == ["d"])
  }

  private func open(_ folder: String) throws -> CheckpointDirectory {
    try CheckpointDirectory(opening: folder, environment: [:])
  }
}

private let hostilePickles: [HostileFile] = [
  HostileFile(
    "os.system", pickle(Op.global("os", "system"), Op.text("id"), [0x85, 0x52, 0x2E]),
    "forbiddenPickle", "\"os.system\""),
  HostileFile(
    "a function by names from the stack",
    pickle(Op.text("builtins"), Op.text("exec"), [0x93, 0x2E]), "forbiddenPickle",
    "\"builtins.exec\""),
  HostileFile("opcode INST", pickle([0x28, 0x69]), "forbiddenPickle", "opcode 0x69 (i)"),
  HostileFile("opcode EXT1", pickle([0x82, 1]), "forbiddenPickle", "opcode 0x82"),
  HostileFile("a list", pickle([0x5D, 0x2E]), "forbiddenPickle", "opcode 0x5d"),
  HostileFile("protocol 6", pickle([0x80, 6, 0x2E]), "malformedPickle", "protocol 6"),
  HostileFile("empty pickle", lying { $0.pickle = [] }, "truncated", "the pickle"),
  HostileFile("no end", pickle(Op.emptyDict), "truncated", "the pickle"),
  HostileFile("nothing on the stack", pickle(Op.stop), "malformedPickle", "a value is missing"),
  HostileFile(
    "two values", pickle(Op.none, Op.none, Op.stop), "malformedPickle", "left over"),
  HostileFile("tuple without mark", pickle(Op.tuple), "malformedPickle", "a mark is missing"),
  HostileFile(
    "values from below the mark", pickle(Op.none, Op.mark, [0x85]), "malformedPickle",
    "a value is missing"),
  HostileFile(
    "items without dictionary", pickle(Op.none, Op.none, Op.none, Op.setItem),
    "malformedPickle", "without a dictionary"),
  HostileFile(
    "key without value", pickle(Op.emptyDict, Op.mark, Op.none, [0x75]), "malformedPickle",
    "without a dictionary"),
  HostileFile(
    "memo beyond the next", pickle(Op.none, Op.put(.max)), "malformedPickle", "4294967295"),
  HostileFile("memo that is not there", pickle(Op.get(0)), "malformedPickle", "memo 0"),
  HostileFile(
    "string longer than the file", pickle([0x58, 0xFF, 0xFF, 0xFF, 0xFF]), "implausibleCount",
    "string"),
  HostileFile("string that is not UTF-8", pickle([0x8C, 1, 0xFF]), "invalidText", "string"),
  HostileFile("integer of 255 bytes", pickle([0x8A, 255]), "malformedPickle", "255"),
  HostileFile("name without end", pickle([0x63, 0x61]), "malformedPickle", "no end"),
  HostileFile(
    "call of a string", pickle(Op.text("f"), Op.emptyTuple, Op.reduce), "malformedPickle",
    "a call"),
  HostileFile(
    "attributes of a tuple", pickle(Op.emptyTuple, Op.emptyDict, Op.build), "forbiddenPickle",
    "attributes"),
  HostileFile(
    "tuples a million deep",
    pickle(Op.none, Array(repeating: 0x85, count: 1_000_000), Op.stop), "invalidField",
    "dictionary"),
  HostileFile(
    "a million marks", pickle(Array(repeating: 0x28, count: 1_000_000), Op.stop),
    "malformedPickle", "a value is missing"),
  HostileFile(
    "dictionary in itself",
    pickle(Op.emptyDict, Op.put(0), Op.text("w"), Op.get(0), Op.setItem, Op.stop),
    "invalidField", "\"w\""),
  HostileFile(
    "tuples that would unfold to 2⁶⁴ values",
    pickle(
      Op.none, Op.put(0), unfolding, Op.get(64), Op.stop), "malformedPickle", "left over"),
  HostileFile(
    "more operations than any model needs",
    pickle(Array(repeating: 0x28, count: 1 << 22), Op.stop), "implausibleCount", "operations"),
  HostileFile(
    "a value that is not a tensor",
    pickle(Op.emptyDict, Op.text("w"), Op.none, Op.setItem, Op.stop),
    "invalidField", "\"w\""),
  HostileFile(
    "the same name twice",
    lying {
      $0.pickle =
        Op.start + Op.emptyDict + Op.text("w") + $0.tensor + Op.setItem + Op.text("w")
        + $0.tensor + Op.setItem + Op.stop
    }, "duplicateName", "\"w\""),
]

private let hostileTensors: [HostileFile] = [
  HostileFile("unknown storage", lying { $0.storage = "QInt8Storage" }, "forbiddenPickle", "QInt8"),
  HostileFile("no such storage", lying { $0.storageKey = "1" }, "missingField", "m/data/1"),
  HostileFile("storage up the folders", lying { $0.storageKey = "../x" }, "missingField", "../x"),
  HostileFile("storage of another size", lying { $0.storageCount = 7 }, "wrongSize", "\"w\""),
  HostileFile("negative count", lying { $0.storageCount = -6 }, "invalidField", "\"w\""),
  HostileFile("count overflows", lying { $0.storageCount = .max }, "overflow", "\"w\""),
  HostileFile("negative offset", lying { $0.offset = -1 }, "invalidField", "\"w\""),
  HostileFile("offset beyond the storage", lying { $0.offset = 1 }, "outOfBounds", "byte 28 of 24"),
  HostileFile("offset overflows", lying { $0.offset = .max }, "outOfBounds", "\"w\""),
  HostileFile(
    "empty tensor beyond the storage", lying { ($0.offset, $0.shape) = (7, [0]) }, "outOfBounds",
    "\"w\""),
  HostileFile("negative side", lying { $0.shape = [-6] }, "overflow", "\"w\""),
  HostileFile(
    "shape overflows", lying { ($0.shape, $0.strides) = ([1 << 40, 1 << 40], [1 << 40, 1]) },
    "overflow", "\"w\""),
  HostileFile("expanded view", lying { $0.strides = [0] }, "strided", "\"w\""),
  HostileFile("negative stride", lying { $0.strides = [-1] }, "strided", "\"w\""),
  HostileFile("stride missing", lying { $0.strides = [] }, "invalidField", "\"w\""),
  HostileFile(
    "more sides than tensors have",
    lying {
      ($0.shape, $0.strides) = (Array(repeating: 1, count: 65), Array(repeating: 1, count: 65))
    },
    "invalidField", "\"w\""),
  HostileFile(
    "negated view",
    lying { $0.more = [Op.emptyDict, Op.text("neg"), [0x88], Op.setItem].flatMap { $0 } },
    "invalidField", "negated"),
  HostileFile("big-endian", lying { $0.byteOrder = "big" }, "notThisFormat", "little-endian"),
]

private let hostileArchives: [HostileFile] = [
  HostileFile("no archive", Array("no weights in here at all".utf8), "notThisFormat", "zip"),
  HostileFile("compressed", archive { $0.entries[2].method = 8 }, "unusableEntry", "compressed"),
  HostileFile(
    "sizes differ", archive { $0.entries[2].compressedSize = 3 }, "unusableEntry", "compressed"),
  HostileFile("encrypted", archive { $0.entries[2].flags = 1 }, "unusableEntry", "encrypted"),
  HostileFile(
    "other name in the header", archive { $0.entries[0].localName = "m/data.pk" }, "unusableEntry",
    "contradicts"),
  HostileFile(
    "other flags in the header", archive { $0.entries[0].localFlags = 8 }, "unusableEntry",
    "contradicts"),
  HostileFile(
    "other size in the header",
    archive { ($0.entries[2].flags, $0.entries[2].localSize) = (0x800, 23) }, "unusableEntry",
    "contradicts"),
  HostileFile(
    "larger than the file", archive { $0.entries[2].size = 1 << 31 }, "unusableEntry", "more"),
  HostileFile(
    "of 2⁶⁴ − 1 bytes",
    archive {
      $0.entries[2].size = .max
      $0.entries[2].extra = ByteBuilder.make {
        $0.put(UInt16(1)); $0.put(UInt16(16)); $0.put(UInt64.max); $0.put(UInt64.max)
      }
    }, "unusableEntry", "18446744073709551615"),
  HostileFile(
    "zip64 field cut off",
    archive {
      $0.entries[2].size = .max
      $0.entries[2].extra = [1, 0, 4, 0, 0, 0, 0, 0]
    }, "truncated", "zip entry 2"),
  HostileFile(
    "the same bytes twice",
    archive {
      $0.entries.append(.init(name: "m/data/0", contents: [], size: 24, header: 0))
      $0.entries[3].name = "m/data.pkl"
    }, "duplicateName", "m/data.pkl"),
  HostileFile(
    "into the next entry",
    archive { $0.entries[0].size = UInt32($0.entries[0].contents.count + 20) }, "unusableEntry",
    "overlaps"),
  HostileFile(
    "header in the directory", archive { $0.entries[1].header = .max - 1 }, "unusableEntry",
    "begins"),
  HostileFile("header elsewhere", archive { $0.entries[1].header = 1 }, "unusableEntry", "header"),
  HostileFile("count too large", archive { $0.count = 4 }, "implausibleCount", "at most 3"),
  HostileFile("count of 2⁶⁴ − 1", archive { $0.count = .max }, "implausibleCount", "zip entries"),
  HostileFile("count too small", archive { $0.count = 2 }, "notThisFormat", "more than the 2"),
  HostileFile(
    "records contradict each other", archive { $0.shortCount = 2 }, "notThisFormat", "contradict"),
  HostileFile(
    "directory elsewhere", archive { $0.directoryOffset = 0 }, "notThisFormat", "directory"),
  HostileFile(
    "directory at the end of the integers", archive { $0.directoryOffset = .max }, "notThisFormat",
    "directory"),
  HostileFile(
    "zip64 record elsewhere", archive { $0.recordOffset = .max }, "notThisFormat", "zip64"),
  HostileFile("bytes after the end", archive { $0.tail = [0] }, "notThisFormat", "directory"),
  HostileFile(
    "record without a signature",
    archive {
      $0.beforeDirectoryEnd = Array(repeating: 0, count: 46); $0.count = 4
    },
    "unusableEntry", "number 3"),
  HostileFile(
    "no pickle", archive { $0.entries[0].name = "m/data.txt" }, "notThisFormat", "data.pkl"),
  HostileFile(
    "two pickles", archive { $0.entries.append(.init(name: "n/data.pkl", contents: [])) },
    "notThisFormat", "data.pkl"),
]
