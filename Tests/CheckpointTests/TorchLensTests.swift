import Files
import Foundation
import LinearAlgebra
import Testing

@testable import Checkpoint

@Suite struct TorchLensFiles {
  /// A file written by torch.save is read, in either precision.
  @Test func anotherToolsFile() throws {
    let file = try TorchLensFile(try fixture("lens.pt"))
    #expect(file.layers == [0, 2] && file.width == 3 && file.promptCount == 7)
    for layer in file.layers {
      let numbers = (0..<9).map { Float(layer) + Float($0) / 8 }
      #expect(try file.matrix(ofLayer: layer).elements == numbers)
    }
    #expect(throws: FileError.self) { try file.matrix(ofLayer: 1) }
  }

  /// Matrices are written in half precision, or in single if a number overflows it, and read back as rounded.
  @Test func whatIsWrittenIsRead() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/lens.pt"
    let matrices = [
      1: Matrix(rows: 2, columns: 2, elements: [0.1, -65504, 1e-9, 3]),
      70_000: Matrix(rows: 2, columns: 2, elements: [0.1, 65520, 1, 2]),
    ]
    // 65520 is the least number that rounds to infinity in half precision.
    #expect(throws: FileError.self) { try TorchLensFile(path) }
    try TorchLensFile.write(to: path, layers: [1], width: 2, promptCount: 1 << 33) { matrices[$0]! }
    let half = try TorchLensFile(path)
    #expect(half.promptCount == 1 << 33)
    #expect(
      try half.matrix(ofLayer: 1).elements == matrices[1]!.elements.map { Float(Float16($0)) })
    try TorchLensFile.write(to: path, layers: [3], width: 2, promptCount: 1) { _ in
      matrices[70_000]!
    }
    #expect(
      try TorchLensFile(path).matrix(ofLayer: 3).elements
        == matrices[70_000]!.elements.map { Float($0) })
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["lens.pt"])
  }

  @Test func everyTruncationIsRefused() throws {
    let whole = try Array(Data(contentsOf: URL(fileURLWithPath: fixture("lens.pt"))))
    let folder = try TemporaryFolder()
    for length in stride(from: 0, to: whole.count, by: 7) {
      let path = try folder.write(Array(whole[..<length]), to: "cut.pt")
      #expect(throws: FileError.self) { try TorchLensFile(path) }
    }
  }

  @Test(arguments: lies) func lyingFilesAreRefused(_ lie: HostileFile) throws {
    try lie.expectRefusal("lens.pt") { path in
      let file = try TorchLensFile(path)
      for layer in file.layers { _ = try file.matrix(ofLayer: layer) }
    }
  }
}

/// A lens file with one matrix; every value may be replaced by a false one, and `leaving` omits a key.
private func lens(
  matrices: [UInt8]? = nil, layer: [UInt8] = Op.int(0), prompts: [UInt8] = Op.int(1),
  layers: [UInt8] = [0x5D] + Op.int(0) + [0x61], width: [UInt8] = Op.int(2),
  leaving key: String = "", _ change: (inout PyTorchBuilder) -> Void = { _ in }
) -> [UInt8] {
  lying { builder in
    builder.storageCount = 4
    builder.shape = [2, 2]
    builder.strides = [2, 1]
    builder.data = ByteBuilder.make { for i in 0..<4 { $0.put(Float(i).bitPattern) } }
    change(&builder)
    let matrices = matrices ?? (Op.emptyDict + layer + builder.tensor + Op.setItem)
    let members = [
      ("J", matrices), ("n_prompts", prompts), ("source_layers", layers), ("d_model", width),
    ].filter { $0.0 != key }
    builder.pickle =
      Op.start + Op.emptyDict + members.flatMap { Op.text($0.0) + $0.1 + Op.setItem } + Op.stop
  }
}

private let lies: [HostileFile] = [
  HostileFile("no J", lens(leaving: "J"), "missingField", "J"),
  HostileFile("no width", lens(leaving: "d_model"), "missingField", "d_model"),
  HostileFile("no number of prompts", lens(leaving: "n_prompts"), "missingField", "n_prompts"),
  HostileFile("no list of layers", lens(leaving: "source_layers"), "missingField", "source_layers"),
  HostileFile("J is a number", lens(matrices: Op.int(1)), "invalidField", "J"),
  HostileFile("no matrix", lens(matrices: Op.emptyDict), "invalidField", "J"),
  HostileFile("a negative layer", lens(layer: Op.int(-1)), "invalidField", "layer"),
  HostileFile("a layer beyond any model", lens(layer: Op.int(.max)), "invalidField", "layer"),
  HostileFile("a layer by name", lens(layer: Op.text("0")), "invalidField", "layer"),
  HostileFile("a negative width", lens(width: Op.int(-2)), "invalidField", "d_model"),
  HostileFile(
    "a width whose square overflows", lens(width: Op.int(.max)), "invalidField", "d_model"),
  HostileFile("another width", lens(width: Op.int(3)), "wrongShape", "[3, 3]"),
  HostileFile("no prompts", lens(prompts: Op.int(0)), "invalidField", "n_prompts"),
  HostileFile(
    "other layers", lens(layers: [0x5D] + Op.int(1) + [0x61]), "invalidField", "source_layers"),
  HostileFile("layers in no list", lens(layers: Op.int(0)), "invalidField", "source_layers"),
  HostileFile(
    "an item without list", lens(layers: Op.int(0) + [0x61]), "malformedPickle", "without a list"),
  HostileFile(
    "a function", lens(prompts: Op.global("os", "system")), "forbiddenPickle", "os.system"),
  HostileFile("more numbers than there are", lens { $0.storageCount = 5 }, "wrongSize", "J[0]"),
  HostileFile(
    "integers",
    lens {
      $0.storage = "IntStorage"
    }, "unsupportedType", "J[0]"),
  HostileFile(
    "infinity",
    lens { $0.data = ByteBuilder.make { for _ in 0..<4 { $0.put(Float.infinity.bitPattern) } } },
    "invalidField", "infinity"),
]
