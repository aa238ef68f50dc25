import Files
import Foundation
import Testing

@testable import Checkpoint

@Suite struct Folders {
  @Test func oneFile() throws {
    let folder = try TemporaryFolder()
    try folder.write(#"{"model_type": "test", "width": 4, "none": null}"#, to: "config.json")
    try writeVectors(["a"], to: folder.path + "/model.safetensors")
    try writeVectors(["stray"], to: folder.path + "/other.safetensors")
    let model = try openModel(folder.path)
    #expect(model.path == folder.path && model.request == folder.path)
    #expect(model.tensors.tensors.map(\.name) == ["a"])
    #expect(model.tensors.contains("a") && !model.tensors.contains("stray"))
    #expect(try model.tokenizerPath == nil)
    try folder.write("{}", to: "tokenizer.json")
    #expect(try model.tokenizerPath == folder.path + "/tokenizer.json")
    guard case .huggingFace(let config) = model.kind else {
      Issue.record("another kind")
      return
    }
    #expect(try config.string("model_type") == "test" && config.int("width") == 4)
    try model.tensors.checkIntact()
  }

  @Test func severalFilesWithoutIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try writeVectors(["a", "b"], to: folder.path + "/part1.safetensors")
    try writeVectors(["c"], to: folder.path + "/part2.safetensors")
    let model = try openModel(folder.path + "/")
    #expect(model.tensors.tensors.map(\.name) == ["a", "b", "c"])
    #expect(try model.tensors.tensor("c").vector() == [0, 0])
    try writeVectors(["a"], to: folder.path + "/part3.safetensors")
    let thrown = try #require(throws: FileError.self) { try openModel(folder.path) }
    for text in ["\"a\"", "part1.safetensors", "part3.safetensors", "one set"] {
      #expect(thrown.description.contains(text), "\(thrown)")
    }
  }

  /// Without an index, the names of the shards tell how many there should be.
  @Test func missingShard() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try writeVectors(["a"], to: folder.path + "/model-00001-of-00003.safetensors")
    try writeVectors(["b"], to: folder.path + "/model-00003-of-00003.safetensors")
    let thrown = try #require(throws: FileError.self) { try openModel(folder.path) }
    #expect(thrown.description.contains("part 2 of 3 is missing"))
    #expect(thrown.description.contains("\"model-00002-of-00003.safetensors\""))
    try writeVectors(["c"], to: folder.path + "/model-00002-of-00003.safetensors")
    #expect(try openModel(folder.path).tensors.tensors.map(\.name) == ["a", "c", "b"])
  }

  /// `transformers_weights` in config.json names the file to read, as for transformers.
  @Test func fileThatTheConfigurationNames() throws {
    let folder = try TemporaryFolder()
    try folder.write(#"{"transformers_weights": "mine.safetensors"}"#, to: "config.json")
    try writeVectors(["a"], to: folder.path + "/model.safetensors")
    #expect(throws: FileError.self) { try openModel(folder.path) }
    try writeVectors(["b"], to: folder.path + "/mine.safetensors")
    let model = try openModel(folder.path)
    #expect(
      model.choice.files == ["mine.safetensors"] && model.choice.left == ["model.safetensors"])
    #expect(model.choice.reason.contains("transformers_weights") && model.tensors.contains("b"))
    #expect(model.choice.byteCount(of: ["mine.safetensors", "absent"]) > 8)
  }

  /// Files that are not read may contain anything.
  @Test(arguments: ["", "{", "[]", "{\"temperature\": Infinity}", "version https://git-lfs"])
  func generationConfigurationIsNotRead(text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try folder.write(text, to: "generation_config.json")
    try writeVectors(["a"], to: folder.path + "/model.safetensors")
    #expect(try openModel(folder.path).tensors.contains("a"))
  }

  /// A note says which of several sets of weights was read; there is no note for a single set.
  @Test(
    arguments: [
      (["model.safetensors"], [], []),
      (["pytorch_model.bin", "optimizer.bin", "rng.pth.tmp"], [], nil),
      (["model.safetensors", "training_args.bin", "optimizer.pt"], [], []),
      (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"], ["pytorch_model.bin"]),
      (
        ["consolidated.safetensors", "model-1.safetensors", "model-2.safetensors"],
        ["model-1.safetensors, model-2.safetensors"], ["consolidated.safetensors"]
      ),
      (["adapter_model.safetensors", "a.safetensors"], ["a.safetensors"], ["adapter_model"]),
      (["model.safetensors", "x.gguf"], ["model.safetensors"], ["x.gguf"]),
      (
        ["model.safetensors", "model-1.safetensors", "model.safetensors.index.json"],
        ["model.safetensors"], ["model-1.safetensors", "index.json"]
      ),
    ] as [([String], [String], [String]?)])
  func twoSetsOfWeights(files: [String], read: [String], left: [String]?) throws {
    guard let left else { return }
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    for file in files {
      if file.hasSuffix(".safetensors") {
        try writeVectors([file], to: "\(folder.path)/\(file)")
      } else {
        try folder.write("x", to: file)
      }
    }
    let notes = try openModel(folder.path).notes
    #expect(notes.count == (left.isEmpty ? 0 : 1), "\(notes)")
    for text in read + left { #expect(notes[0].contains(text), "\(notes)") }
  }

  /// The shards that an index names are one set of weights; another file beside them is a second set.
  @Test func shardsAreOneSet() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try writeVectors(["a"], to: folder.path + "/model-1.safetensors")
    try folder.write(
      #"{"weight_map": {"a": "model-1.safetensors", "a": "model-1.safetensors"}}"#,
      to: "model.safetensors.index.json")
    #expect(try openModel(folder.path).notes.isEmpty)
    try writeVectors(["b"], to: folder.path + "/consolidated.safetensors")
    let notes = try openModel(folder.path).notes
    #expect(notes.count == 1 && notes[0].contains("consolidated.safetensors"))
  }

  @Test func shardsByTheIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try writeVectors(["a", "unlisted"], to: folder.path + "/model-00001-of-00002.safetensors")
    try writeVectors(["b"], to: folder.path + "/sub/model-00002-of-00002.safetensors")
    let index = try folder.write(
      #"""
      {"metadata": {"total_size": 16}, "weight_map": {
        "b": "sub/model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}}
      """#, to: "model.safetensors.index.json")
    let model = try openModel(folder.path)
    // Tensors in the files that the index does not name come last.
    #expect(model.tensors.tensors.map(\.name) == ["b", "a", "unlisted"])
    #expect(try model.tensors.tensor("b").file.hasSuffix("sub/model-00002-of-00002.safetensors"))
    #expect(throws: FileError.missingTensor(file: index, tensor: "absent")) {
      try model.tensors.tensor("absent")
    }
    try model.tensors.checkIntact()
  }

  /// With an index that is older than its files, tensors are found in the files that have them, and one that is in no file
  /// is an error only when it is requested.
  @Test func staleIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try writeVectors(["a"], to: folder.path + "/1.safetensors")
    try writeVectors(["b"], to: folder.path + "/2.safetensors")
    let index = "model.safetensors.index.json"
    try folder.write(
      #"{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "gone": "1.safetensors"}}"#,
      to: index)
    let model = try openModel(folder.path)
    #expect(model.tensors.contains("a") && model.tensors.contains("b"))
    #expect(!model.tensors.contains("gone"))
    #expect(model.notes.count == 1 && model.notes[0].contains("no file holds 1 of the tensors"))
    // A stale index does not matter beside model.safetensors, which takes precedence.
    try writeVectors(["whole"], to: folder.path + "/model.safetensors")
    #expect(try openModel(folder.path).tensors.tensors.map(\.name) == ["whole"])
  }

  /// Indices that lead out of the folder or lie are refused. `%` stands for the folder; `outside` beside it has a file that
  /// must not be reached.
  @Test(arguments: [
    (#"{"a": "../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "sub/../../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "%/../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "link.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "linked/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": ""}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "x\u0000.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "absent.safetensors"}"#, "notAModel", "absent.safetensors"),
    (#"{"a": "x.safetensors", "b": "absent"}"#, "notAModel", "1 of the 2 files"),
    (#"{"a": "."}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "sub"}"#, "cannotRead", "folder"),
    (#"{"a": 1}"#, "invalidField", "weight_map.a"),
    (#"[]"#, "invalidField", "weight_map"),
  ])
  func lyingIndicesAreRefused(map: String, error: String, field: String) throws {
    let parent = try TemporaryFolder()
    let model = parent.path + "/model"
    try parent.write("{}", to: "model/config.json")
    try writeVectors(["a"], to: parent.path + "/outside/x.safetensors")
    try writeVectors(["a"], to: model + "/x.safetensors")
    try parent.write("", to: "model/sub/empty")
    try parent.link("model/link.safetensors", to: "../outside/x.safetensors")
    try parent.link("model/linked", to: parent.path + "/outside")
    let map = map.replacingOccurrences(of: "%", with: model)
    try parent.write("{\"weight_map\": \(map)}", to: "model/model.safetensors.index.json")
    let thrown = try #require(throws: FileError.self) { try openModel(model) }
    #expect(thrown.caseName == error, "\(thrown)")
    #expect(thrown.description.contains(model), "\(thrown)")
    #expect(thrown.description.contains(field), "\(thrown)")
  }

  /// A link out of the folder is refused, whichever file it replaces.
  @Test(arguments: [
    "config.json", "model.safetensors", "model.safetensors.index.json",
    "part.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "tokenizer.json",
  ])
  func linksOutOfTheFolderAreRefused(name: String) throws {
    let parent = try TemporaryFolder()
    let model = parent.path + "/model"
    try parent.write("{}", to: "model/config.json")
    try parent.write("{}", to: "outside")
    if name == "tokenizer.json" { try writeVectors(["a"], to: model + "/model.safetensors") }
    try? FileManager.default.removeItem(atPath: "\(model)/\(name)")
    try parent.link("model/\(name)", to: "../outside")
    let outside = try #require(realpath("\(parent.path)/outside", nil))
    defer { free(outside) }
    #expect(
      throws: FileError.unsafePath(
        file: "\(model)/\(name)", field: "the link", path: String(cString: outside))
    ) {
      try openModel(model).tokenizerPath
    }
  }

  @Test func linksWithinTheFolderAreFollowed() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "real/config")
    try folder.link("config.json", to: "real/config")
    try writeVectors(["a"], to: folder.path + "/real/weights")
    try folder.link("model.safetensors", to: folder.path + "/real/weights")
    #expect(try openModel(folder.path).tensors.contains("a"))
  }

  @Test(arguments: [
    ([], "config.json", "Hugging Face"),
    (["a.gguf", "b.gguf"], "2 .gguf files", "a.gguf, b.gguf"),
    (["a.gguf", "model.safetensors"], "config.json", "a.gguf"),
    (["a.gguf", "b.gguf", "config.json"], "2 .gguf files", "a.gguf, b.gguf"),
    (["config.json", "adapter_config.json", "adapter_model.safetensors"], "adapter", "merge"),
    (["adapter_config.json", "adapter_model.safetensors"], "config.json", "adapter"),
    (["config.json"], "without weights", ".safetensors"),
    (["config.json", "optimizer.bin"], "optimizer.bin", "save_pretrained"),
    (["config.json", "model.pt"], "model.pt", "save_pretrained"),
    (["config.json", "tf_model.h5"], "tf_model.h5", "save_pretrained"),
  ])
  func whatIsNoModelSaysWhatWouldBe(files: [String], reason: String, remedy: String) throws {
    let folder = try TemporaryFolder()
    for file in files { try folder.write("{}", to: file) }
    let thrown = try #require(throws: FileError.self) { try openModel(folder.path) }
    #expect(thrown.caseName == "notAModel")
    for text in [folder.path, reason, remedy] {
      #expect(thrown.description.contains(text), "\(thrown)")
    }
  }

  /// A file's name cannot send control sequences to a terminal.
  @Test func controlCharactersInNamesAreEscaped() throws {
    let folder = try TemporaryFolder()
    for name in ["a\u{1B}[31m.gguf", "b.gguf"] { try folder.write("{}", to: name) }
    let thrown = try #require(throws: FileError.self) { try openModel(folder.path) }
    #expect(thrown.description.contains(#"a\u{1B}[31m.gguf"#), "\(thrown)")
    #expect(!thrown.description.unicodeScalars.contains("\u{1B}"))
  }

  @Test func configurationThatIsNoObject() throws {
    let folder = try TemporaryFolder()
    try folder.write("[1]", to: "config.json")
    let thrown = try #require(throws: FileError.self) { try openModel(folder.path) }
    #expect(thrown.caseName == "invalidField" && thrown.description.contains("config.json"))
  }
}

@Suite struct SingleFiles {
  @Test func ggufByNameOrByMagic() throws {
    let folder = try TemporaryFolder()
    for name in ["m.gguf", "m.bin"] {
      let model = try openModel(try folder.write(GGUFBuilder.honest.bytes, to: name))
      guard case .gguf(let file) = model.kind else {
        Issue.record("another kind")
        return
      }
      #expect(file.tensors.count == 2 && model.tensors.tensors.count == 2)
      #expect(try model.tokenizerPath == nil)
    }
  }

  /// A folder whose only weights are one GGUF file is opened as that file, whatever its config.json contains.
  @Test(arguments: [[], ["config.json"], ["config.json", "README.md", "optimizer.bin"]])
  func folderOfOneGGUF(others: [String]) throws {
    let folder = try TemporaryFolder()
    let file = try folder.write(GGUFBuilder.honest.bytes, to: "m.gguf")
    for name in others { try folder.write("{", to: name) }
    let model = try openModel(folder.path)
    guard case .gguf = model.kind else {
      Issue.record("another kind")
      return
    }
    #expect(model.path == file && model.request == folder.path && model.notes.isEmpty)
    try FileManager.default.removeItem(atPath: file)
    try folder.link("m.gguf", to: "/etc/passwd")
    #expect(
      #expect(throws: FileError.self) { try openModel(folder.path) }?.caseName == "unsafePath")
  }

  @Test func otherFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    let other = try folder.write("{}", to: "config.json")
    let thrown = #expect(throws: FileError.self) { try openModel(other) }
    #expect(thrown?.caseName == "notAModel" && thrown?.description.contains(other) == true)
    let named = try folder.write("{}", to: "x.gguf")
    #expect(#expect(throws: FileError.self) { try openModel(named) }?.caseName == "notThisFormat")
    for type in ["adapter", "mmproj", "imatrix"] {
      let path = try folder.write(
        GGUFBuilder.with("general.type", 8) { $0.put(type) }, to: "\(type).gguf")
      #expect(#expect(throws: FileError.self) { try openModel(path) }?.caseName == "notAModel")
    }
  }

  /// The image projector beside a model is not read.
  @Test func projectorBesideTheModel() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write(GGUFBuilder.honest.bytes, to: "m.gguf")
    try folder.write("{", to: "mmproj-m-f16.gguf")
    let model = try openModel(folder.path)
    #expect(model.path == file && model.choice.left == ["mmproj-m-f16.gguf"])
  }
}

/// GGUF files that are split as by `llama-gguf-split`.
@Suite struct SplitGGUF {
  /// A part with one tensor; nil omits the key.
  private func part(_ number: Int?, of count: Int?, _ tensor: String, total: Int? = 2) -> [UInt8] {
    GGUFBuilder.changed {
      $0.tensors = [(tensor, [3, 2], 0, 0)]
      $0.data = 24
      for (key, type, value) in [("no", 2, number), ("count", 2, count)] as [(String, UInt32, Int?)]
      {
        guard let value else { continue }
        $0.metadata.append(("split.\(key)", type, ByteBuilder.make { $0.put(UInt16(value)) }))
      }
      if let total {
        $0.metadata.append(
          ("split.tensors.count", 5, ByteBuilder.make { $0.put(UInt32(total)) }))
      }
    }
  }

  /// The folder and each of the parts open the same model, with the metadata of the first part.
  @Test func anyPartIsTheModel() throws {
    let folder = try TemporaryFolder()
    let first = try folder.write(part(0, of: 2, "a"), to: "m-00001-of-00002.gguf")
    let second = try folder.write(part(1, of: 2, "b"), to: "m-00002-of-00002.gguf")
    try folder.write("{", to: "mmproj.gguf")
    for path in [folder.path, first, second] {
      let model = try openModel(path)
      #expect(model.path == first && model.tensors.tensors.map(\.name) == ["a", "b"])
      #expect(model.choice.files == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"])
      #expect(model.choice.reason.hasSuffix("in 2 parts"))
      #expect(
        try model.tensors.tensor("b").file == second && model.tensors.tensor("a").file == first)
      guard case .gguf(let file) = model.kind else {
        Issue.record("another kind")
        return
      }
      let fingerprint = try model.fingerprint()
      #expect(file.path == first && !fingerprint.isEmpty)
    }
    try folder.write(GGUFBuilder.honest.bytes, to: "other.gguf")
    #expect(#expect(throws: FileError.self) { try openModel(folder.path) }?.caseName == "notAModel")
  }

  /// Parts that do not make up one model are refused, with an error that says why.
  @Test func partsThatDoNotBelongTogether() throws {
    let names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    let cases: [([String: [UInt8]], String)] = [
      ([names[0]: part(0, of: 2, "a")], "part 2 of 2 is missing: \"m-00002-of-00002.gguf\""),
      ([names[1]: part(1, of: 2, "a")], "part 1 of 2 is missing: \"m-00001-of-00002.gguf\""),
      (["x.gguf": part(0, of: 2, "a")], "--merge"),
      (["m-00001-of-00003.gguf": part(0, of: 2, "a")], "--merge"),
      ([names[0]: part(0, of: 2, "a"), names[1]: part(0, of: 2, "b")], "split.no"),
      ([names[0]: part(0, of: 2, "a"), names[1]: part(nil, of: 2, "b")], "split.no"),
      ([names[0]: part(0, of: 2, "a"), names[1]: part(1, of: 3, "b")], "split.count"),
      ([names[0]: part(0, of: 2, "a", total: 3), names[1]: part(1, of: 2, "b")], "is 3"),
      (
        [names[0]: part(0, of: 2, "a", total: nil), names[1]: part(1, of: 2, "b")], "tensors.count"
      ),
      ([names[0]: part(0, of: 2, "a"), names[1]: part(1, of: 2, "a")], "\"a\" is in both"),
    ]
    for (files, text) in cases {
      let folder = try TemporaryFolder()
      for (name, bytes) in files { try folder.write(bytes, to: name) }
      let thrown = #expect(throws: FileError.self) { try openModel(folder.path) }
      #expect(thrown?.description.contains(text) == true, "\(String(describing: thrown))")
    }
  }
}
