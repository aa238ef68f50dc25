import Files
import Foundation
import Testing

@testable import Checkpoint

@Suite struct HubNames {
  /// A cache as huggingface_hub lays it out: files are links into `blobs`.
  private func makeCache(_ folder: TemporaryFolder, at cache: String, model: String) throws {
    let home = "\(cache)/models--\(model)"
    try folder.write("abc123\n", to: "\(home)/refs/main")
    try folder.write("{}", to: "\(home)/blobs/config")
    try writeVectors(["a"], to: "\(folder.path)/\(home)/blobs/shard")
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
      let model = try openModel(name, environment)
      #expect(model.path == "\(folder.path)/\(cache)/models--\(stored)/snapshots/abc123")
      #expect(model.request == name)
      #expect(try model.tensors.tensor("a").vector() == [0, 0])
    }
  }

  /// Without a main revision, the only snapshot is used; several are an error.
  @Test func onlySnapshot() throws {
    let folder = try TemporaryFolder()
    try makeCache(folder, at: "hub", model: "org--name")
    let home = "\(folder.path)/hub/models--org--name"
    try FileManager.default.removeItem(atPath: "\(home)/refs")
    let environment = ["HF_HUB_CACHE": folder.path + "/hub"]
    #expect(try openModel("org/name", environment).path == "\(home)/snapshots/abc123")
    try folder.write("", to: "hub/models--org--name/snapshots/def456/.keep")
    let thrown = #expect(throws: FileError.self) { try openModel("org/name", environment) }
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
      try openModel("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
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
      try openModel("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
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
      try openModel("org/name", ["HF_HUB_CACHE": folder.path + "/hub"])
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
      try openModel(name, ["HF_HUB_CACHE": folder.path + "/hub"])
    }
    #expect(thrown?.description.contains(text) == true, "\(String(describing: thrown))")
  }
}
