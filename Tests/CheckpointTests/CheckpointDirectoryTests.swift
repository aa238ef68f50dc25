import Files
import Foundation
import Testing

@testable import Checkpoint

/// Writes a safetensors file of zero vectors.
private func write(_ names: [String], to path: String) throws {
  try FileManager.default.createDirectory(
    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
  try SafetensorsWriter.write(names.map { (.init(name: $0, shape: [2]), [0, 0]) }, to: path)
}

private func open(
  _ model: String, _ environment: [String: String] = ["HOME": "/nonexistent"]
) throws -> CheckpointDirectory {
  try CheckpointDirectory(opening: model, environment: environment)
}

@Suite struct Folders {
  @Test func oneFile() throws {
    let folder = try TemporaryFolder()
    try folder.write(#"{"model_type": "test", "width": 4, "none": null}"#, to: "config.json")
    try write(["a"], to: folder.path + "/model.safetensors")
    try write(["stray"], to: folder.path + "/other.safetensors")
    let model = try open(folder.path)
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
    try write(["a", "b"], to: folder.path + "/part1.safetensors")
    try write(["c"], to: folder.path + "/part2.safetensors")
    let model = try open(folder.path + "/")
    #expect(model.tensors.tensors.map(\.name) == ["a", "b", "c"])
    #expect(try model.tensors.tensor("c").vector() == [0, 0])
    try write(["a"], to: folder.path + "/part3.safetensors")
    #expect(throws: FileError.duplicateName(file: folder.path, name: "a")) {
      try open(folder.path)
    }
  }

  /// Files that nobody reads may hold anything.
  @Test(arguments: ["", "{", "[]", "{\"temperature\": Infinity}", "version https://git-lfs"])
  func generationConfigurationIsNotRead(text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try folder.write(text, to: "generation_config.json")
    try write(["a"], to: folder.path + "/model.safetensors")
    #expect(try open(folder.path).tensors.contains("a"))
  }

  /// Which of several sets of weights was read is said, and of one set there is nothing to say.
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
    ] as [([String], [String], [String]?)])
  func twoSetsOfWeights(files: [String], read: [String], left: [String]?) throws {
    guard let left else { return }
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    for file in files {
      if file.hasSuffix(".safetensors") {
        try write([file], to: "\(folder.path)/\(file)")
      } else {
        try folder.write("x", to: file)
      }
    }
    let notes = try open(folder.path).notes
    #expect(notes.count == (left.isEmpty ? 0 : 1), "\(notes)")
    for text in read + left { #expect(notes[0].contains(text), "\(notes)") }
  }

  /// Shards that the index names are no second set; its own file beside them is.
  @Test func shardsAreOneSet() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try write(["a"], to: folder.path + "/model-1.safetensors")
    try folder.write(
      #"{"weight_map": {"a": "model-1.safetensors", "a": "model-1.safetensors"}}"#,
      to: "model.safetensors.index.json")
    #expect(try open(folder.path).notes.isEmpty)
    try write(["b"], to: folder.path + "/consolidated.safetensors")
    let notes = try open(folder.path).notes
    #expect(notes.count == 1 && notes[0].contains("consolidated.safetensors"))
  }

  @Test func shardsByTheIndex() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "config.json")
    try write(["a", "unlisted"], to: folder.path + "/model-00001-of-00002.safetensors")
    try write(["b"], to: folder.path + "/sub/model-00002-of-00002.safetensors")
    let index = try folder.write(
      #"""
      {"metadata": {"total_size": 16}, "weight_map": {
        "b": "sub/model-00002-of-00002.safetensors", "a": "model-00001-of-00002.safetensors"}}
      """#, to: "model.safetensors.index.json")
    let model = try open(folder.path)
    #expect(model.tensors.tensors.map(\.name) == ["b", "a"])
    #expect(try model.tensors.tensor("b").file.hasSuffix("sub/model-00002-of-00002.safetensors"))
    #expect(throws: FileError.missingTensor(file: index, tensor: "unlisted")) {
      try model.tensors.tensor("unlisted")
    }
    try model.tensors.checkIntact()
  }

  /// `%` stands for the folder, whose neighbour `outside` holds a file that must not be reached.
  @Test(arguments: [
    (#"{"a": "../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "sub/../../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "%/../outside/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "link.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "linked/x.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": ""}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "x\u0000.safetensors"}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "absent.safetensors"}"#, "cannotRead", "absent.safetensors"),
    (#"{"a": "."}"#, "unsafePath", "weight_map.a"),
    (#"{"a": "sub"}"#, "cannotRead", "folder"),
    (#"{"b": "x.safetensors"}"#, "missingTensor", "\"b\""),
    (#"{"a": 1}"#, "invalidField", "weight_map.a"),
    (#"[]"#, "invalidField", "weight_map"),
  ])
  func lyingIndicesAreRefused(map: String, error: String, field: String) throws {
    let parent = try TemporaryFolder()
    let model = parent.path + "/model"
    try parent.write("{}", to: "model/config.json")
    try write(["a"], to: parent.path + "/outside/x.safetensors")
    try write(["a"], to: model + "/x.safetensors")
    try parent.write("", to: "model/sub/empty")
    try parent.link("model/link.safetensors", to: "../outside/x.safetensors")
    try parent.link("model/linked", to: parent.path + "/outside")
    let map = map.replacingOccurrences(of: "%", with: model)
    try parent.write("{\"weight_map\": \(map)}", to: "model/model.safetensors.index.json")
    let thrown = try #require(throws: FileError.self) { try open(model) }
    #expect(thrown.caseName == error, "\(thrown)")
    #expect(thrown.description.contains(model), "\(thrown)")
    #expect(thrown.description.contains(field), "\(thrown)")
  }

  /// A link out of the folder is refused whichever file it stands for; one within it is as good as a file.
  @Test(arguments: [
    "config.json", "model.safetensors", "model.safetensors.index.json",
    "part.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "tokenizer.json",
  ])
  func linksOutOfTheFolderAreRefused(name: String) throws {
    let parent = try TemporaryFolder()
    let model = parent.path + "/model"
    try parent.write("{}", to: "model/config.json")
    try parent.write("{}", to: "outside")
    if name == "tokenizer.json" { try write(["a"], to: model + "/model.safetensors") }
    try? FileManager.default.removeItem(atPath: "\(model)/\(name)")
    try parent.link("model/\(name)", to: "../outside")
    let outside = try #require(realpath("\(parent.path)/outside", nil))
    defer { free(outside) }
    #expect(
      throws: FileError.unsafePath(
        file: "\(model)/\(name)", field: "the link", path: String(cString: outside))
    ) {
      try open(model).tokenizerPath
    }
  }

  @Test func linksWithinTheFolderAreFollowed() throws {
    let folder = try TemporaryFolder()
    try folder.write("{}", to: "real/config")
    try folder.link("config.json", to: "real/config")
    try write(["a"], to: folder.path + "/real/weights")
    try folder.link("model.safetensors", to: folder.path + "/real/weights")
    #expect(try open(folder.path).tensors.contains("a"))
  }

  @Test(arguments: [
    ([], "config.json", "Hugging Face"),
    (["a.gguf", "b.gguf"], "2 .gguf files", "a.gguf, b.gguf"),
    (["a.gguf", "model.safetensors"], "config.json", "a.gguf"),
    (["a.gguf", "b.gguf", "config.json"], "2 .gguf files", "a.gguf, b.gguf"),
    (["config.json", "adapter_config.json", "adapter_model.safetensors"], "adapter", "merge"),
    (["config.json"], "without weights", ".safetensors"),
    (["config.json", "optimizer.bin"], "optimizer.bin", "save_pretrained"),
    (["config.json", "model.pt"], "model.pt", "save_pretrained"),
    (["config.json", "tf_model.h5"], "tf_model.h5", "save_pretrained"),
  ])
  func whatIsNoModelSaysWhatWouldBe(files: [String], reason: String, remedy: String) throws {
    let folder = try TemporaryFolder()
    for file in files { try folder.write("{}", to: file) }
    let thrown = try #require(throws: FileError.self) { try open(folder.path) }
    #expect(thrown.caseName == "notAModel")
    for text in [folder.path, reason, remedy] {
      #expect(thrown.description.contains(text), "\(thrown)")
    }
  }

  @Test func configurationThatIsNoObject() throws {
    let folder = try TemporaryFolder()
    try folder.write("[1]", to: "config.json")
    let thrown = try #require(throws: FileError.self) { try open(folder.path) }
    #expect(thrown.caseName == "invalidField" && thrown.description.contains("config.json"))
  }
}

@Suite struct SingleFiles {
  @Test func ggufByNameOrByMagic() throws {
    let folder = try TemporaryFolder()
    for name in ["m.gguf", "m.bin"] {
      let model = try open(try folder.write(GGUFBuilder.honest.bytes, to: name))
      guard case .gguf(let file) = model.kind else {
        Issue.record("another kind")
        return
      }
      #expect(file.tensors.count == 2 && model.tensors.tensors.count == 2)
      #expect(try model.tokenizerPath == nil)
    }
  }

  /// A folder whose only weights are one GGUF file is that file, whatever config.json says.
  @Test(arguments: [[], ["config.json"], ["config.json", "README.md", "optimizer.bin"]])
  func folderOfOneGGUF(others: [String]) throws {
    let folder = try TemporaryFolder()
    let file = try folder.write(GGUFBuilder.honest.bytes, to: "m.gguf")
    for name in others { try folder.write("{", to: name) }
    let model = try open(folder.path)
    guard case .gguf = model.kind else {
      Issue.record("another kind")
      return
    }
    #expect(model.path == file && model.request == folder.path && model.notes.isEmpty)
    try FileManager.default.removeItem(atPath: file)
    try folder.link("m.gguf", to: "/etc/passwd")
    #expect(
      #expect(throws: FileError.self) { try open(folder.path) }?.caseName == "unsafePath")
  }

  @Test func otherFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    let other = try folder.write("{}", to: "config.json")
    let thrown = #expect(throws: FileError.self) { try open(other) }
    #expect(thrown?.caseName == "notAModel" && thrown?.description.contains(other) == true)
    let named = try folder.write("{}", to: "x.gguf")
    #expect(#expect(throws: FileError.self) { try open(named) }?.caseName == "notThisFormat")
    let part = try folder.write(
      GGUFBuilder.with("split.count", 2) { $0.put(UInt16(3)) }, to: "part.gguf")
    let split = #expect(throws: FileError.self) { try open(part) }
    #expect(split?.description.contains("--merge") == true)
  }
}

@Suite struct HubNames {
  /// A cache as huggingface_hub lays it out: files are links into `blobs`.
  private func makeCache(_ folder: TemporaryFolder, at cache: String, model: String) throws {
    let home = "\(cache)/models--\(model)"
    try folder.write("abc123\n", to: "\(home)/refs/main")
    try folder.write("{}", to: "\(home)/blobs/config")
    try write(["a"], to: "\(folder.path)/\(home)/blobs/shard")
    try folder.write(
      #"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#, to: "\(home)/blobs/index")
    try folder.write("", to: "\(home)/snapshots/abc123/.keep")
    for (name, blob) in [
      ("config.json", "config"), ("model.safetensors.index.json", "index"),
      ("model-00001-of-00001.safetensors", "shard"),
    ] {
      try folder.link("\(home)/snapshots/abc123/\(name)", to: "../../blobs/\(blob)")
    }
  }

  @Test(arguments: [
    ("hub", ["HF_HUB_CACHE": "%/hub", "HF_HOME": "/nonexistent"]),
    ("home/hub", ["HF_HOME": "%/home"]),
    ("home/hub", ["HF_HOME": "~/home", "HOME": "%", "HF_HUB_CACHE": ""]),
    (".cache/huggingface/hub", ["HOME": "%"]),
    ("old", ["HUGGINGFACE_HUB_CACHE": "%/old", "HF_HOME": "/nonexistent"]),
    ("xdg/huggingface/hub", ["XDG_CACHE_HOME": "%/xdg", "HOME": "/nonexistent"]),
  ])
  func snapshotsAreFound(cache: String, environment: [String: String]) throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: cache, model: "org--name")
    try makeCache(folder, at: cache, model: "gpt2")
    let environment = environment.mapValues { $0.replacingOccurrences(of: "%", with: folder.path) }
    for (name, stored) in [("org/name", "org--name"), ("gpt2", "gpt2")] {
      let model = try open(name, environment)
      #expect(model.path == "\(folder.path)/\(cache)/models--\(stored)/snapshots/abc123")
      #expect(model.request == name)
      #expect(try model.tensors.tensor("a").vector() == [0, 0])
    }
  }

  /// Without a main revision the only one is taken; of several none is.
  @Test func onlySnapshot() throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: "hub", model: "org--name")
    let home = "\(folder.path)/hub/models--org--name"
    try FileManager.default.removeItem(atPath: "\(home)/refs")
    let environment = ["HF_HUB_CACHE": folder.path + "/hub"]
    #expect(try open("org/name", environment).path == "\(home)/snapshots/abc123")
    try folder.write("", to: "hub/models--org--name/snapshots/def456/.keep")
    let thrown = #expect(throws: FileError.self) { try open("org/name", environment) }
    for text in ["refs/main", "snapshots/abc123", "snapshots/def456"] {
      #expect(thrown?.description.contains(text) == true, "\(String(describing: thrown))")
    }
  }

  @Test func aLinkIntoAnotherModelsBlobsIsRefused() throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: "hub", model: "org--name")
    try makeCache(folder, at: "hub", model: "org--other")
    let shard = "hub/models--org--name/snapshots/abc123/model-00001-of-00001.safetensors"
    try FileManager.default.removeItem(atPath: "\(folder.path)/\(shard)")
    try folder.link(shard, to: "../../../models--org--other/blobs/shard")
    let thrown = #expect(throws: FileError.self) {
      try open("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
    }
    #expect(thrown?.caseName == "unsafePath")
  }

  @Test func aSnapshotThatIsALinkElsewhereIsRefused() throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: "hub", model: "org--name")
    let snapshot = "\(folder.path)/hub/models--org--name/snapshots/abc123"
    try FileManager.default.moveItem(atPath: snapshot, toPath: folder.path + "/elsewhere")
    try folder.link("hub/models--org--name/snapshots/abc123", to: folder.path + "/elsewhere")
    let thrown = #expect(throws: FileError.self) {
      try open("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
    }
    #expect(thrown?.caseName == "unsafePath")
  }

  @Test func aConfigurationOutsideTheBlobsIsRefused() throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: "hub", model: "org--name")
    try folder.write("{}", to: "secret.json")
    let config = "hub/models--org--name/snapshots/abc123/config.json"
    try FileManager.default.removeItem(atPath: "\(folder.path)/\(config)")
    try folder.link(config, to: folder.path + "/secret.json")
    let thrown = #expect(throws: FileError.self) {
      try open("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
    }
    #expect(thrown?.caseName == "unsafePath")
  }

  @Test(arguments: [
    ("org/absent", "hf download org/absent"), ("a/b/c", "hub name"), ("../x", "hub name"),
    ("org/..", "hub name"), ("/org/name", "hub name"), ("org/", "hub name"), ("", "hub name"),
    ("org/na me", "hub name"), ("org/noref", "no revision"), ("org/gone", "snapshots/abc123"),
    ("org/sly", "revision"),
  ])
  func whatIsNotInTheCacheSaysSo(name: String, text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("", to: "hub/models--org--noref/blobs/x")
    try folder.write("abc123", to: "hub/models--org--gone/refs/main")
    try folder.write("../../../..", to: "hub/models--org--sly/refs/main")
    let thrown = #expect(throws: FileError.self) {
      try open(name, ["HF_HUB_CACHE": folder.path + "/hub"])
    }
    #expect(thrown?.description.contains(text) == true, "\(String(describing: thrown))")
  }
}

@Suite struct Configurations {
  /// What Python reads where nobody looks is read; where somebody does, the error is about that key.
  @Test(arguments: [
    #""x": Infinity"#, #""x": [NaN, -Infinity]"#, #""x": 1e400, "y": -1e999"#,
    #""x": 1, "x": "two""#,
    #""x": "\ud800""#, #""\udc00": {"x": "\ud83d\u0041"}"#, #""x": {"a": 1, "a": 2}"#,
  ])
  func unreadKeysAreAsPythonReadsThem(members: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("{\"n\": 3, \(members), \"t\": \"a\"}", to: "config.json")
    let config = try ConfigurationFile(path)
    #expect(try config.int("n") == 3 && config.string("t") == "a")
    if config["x"] != nil {
      let thrown = #expect(throws: FileError.self) { try config.bool("x") }
      #expect(thrown?.description.contains("\"x\"") == true)
    }
  }

  private func configuration(_ text: String) throws -> ConfigurationFile {
    let value = try JSONValue.parse(Array(text.utf8), source: "config.json")
    return ConfigurationFile(path: "config.json", object: try #require(value.object))
  }

  @Test func valuesAndFallbacks() throws {
    let config = try configuration(
      #"{"n": 3, "x": 0.5, "whole": 10000, "t": "a", "b": true, "none": null, "part": {"n": "no"}}"#
    )
    #expect(try config.int("n") == 3 && config.double("x") == 0.5 && config.double("whole") == 1e4)
    #expect(try config.string("t") == "a" && config.bool("b"))
    #expect(try config.int("absent", default: 7) == 7 && config.int("none", default: 8) == 8)
    #expect(throws: FileError.missingField(file: "config.json", field: "absent")) {
      try config.int("absent")
    }
    #expect(throws: FileError.missingField(file: "config.json", field: "none")) {
      try config.double("none")
    }
    // A fallback is for what is absent, not for what is wrong.
    #expect(throws: FileError.self) { try config.int("t", default: 1) }
    #expect(throws: FileError.self) { try config.int("x", default: 1) }
    #expect(try config.part("absent") == nil && config.part("none") == nil)
    #expect(throws: FileError.self) { try config.part("n") }
    let part = try #require(try config.part("part"))
    let thrown = #expect(throws: FileError.self) { try part.int("n") }
    #expect(thrown?.description.contains("part.n") == true)
  }
}
