import Foundation

/// A model on disk: its weights, its configuration, and the files beside them.
public struct CheckpointDirectory: Sendable {
  /// What says how the weights are to be used.
  public enum Kind: Sendable {
    /// `config.json` and, if it is there, `generation_config.json`.
    case huggingFace(config: ConfigurationFile, generationConfig: ConfigurationFile?)
    /// The metadata of the file itself.
    case gguf(GGUFFile)
  }

  /// The folder, or the `.gguf` file.
  public let path: String
  /// What it was asked for as: a path or a hub name.
  public let request: String
  /// Its configuration.
  public let kind: Kind
  /// Its weights.
  public let tensors: any TensorSource

  /// `tokenizer.json`, if the folder has one; a GGUF file holds its own vocabulary. Throws `CheckpointError.unsafePath`.
  public var tokenizerPath: String? {
    get throws(CheckpointError) { try file("tokenizer.json") }
  }

  /// The path of a file of the folder, nil if there is none of this name or the model is a `.gguf` file.
  ///
  /// Throws `CheckpointError.unsafePath` if it is a link out of the folder, other than into its own blobs in the cache.
  public func file(_ name: String) throws(CheckpointError) -> String? {
    guard case .huggingFace = kind, FileManager.default.fileExists(atPath: "\(path)/\(name)") else {
      return nil
    }
    return try ModelFolder(path).file(name)
  }

  /// Opens a model: a folder with config.json and safetensors or pytorch_model.bin, a `.gguf` file, or a name as on the Hugging Face hub
  /// (`org/name`) that lies in the local cache. A path that exists wins over a hub name. Nothing is downloaded.
  ///
  /// The cache is `HF_HUB_CACHE` of `environment`, else `HF_HOME`/hub, else ~/.cache/huggingface/hub, as
  /// huggingface_hub finds it. Throws `CheckpointError.notAModel` when there is nothing to open, `unsafePath` for a file
  /// that is a link out of the folder (blobs of the same cached model excepted), and what the files' readers throw.
  public init(
    opening model: String,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(CheckpointError) {
    request = model
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: model, isDirectory: &isFolder) {
      path = model
    } else {
      path = try HubCache(environment: environment).snapshot(of: model)
      isFolder = true
    }
    if isFolder.boolValue {
      (kind, tensors) = try Self.openFolder(path)
    } else {
      let file = try Self.openFile(path)
      (kind, tensors) = (.gguf(file), file)
    }
  }

  private static func openFile(_ path: String) throws(CheckpointError) -> GGUFFile {
    // Any name will do for a file that begins as GGUF does; only such a name will do for one that does not.
    let isNamed = path.utf8.suffix(5).elementsEqual(".gguf".utf8)
    let file = try MappedFile(path)
    let beginning = try file.copy(0..<min(GGUFFile.magic.count, file.count))
    guard isNamed || beginning == GGUFFile.magic else {
      throw .notAModel(
        path: path, reason: "a file, but no GGUF file",
        remedy: "give a .gguf file, or the folder that holds config.json and the .safetensors files"
      )
    }
    let model = try GGUFFile(path)
    if let parts = model["split.count"]?.int, parts > 1 {
      throw .notAModel(
        path: path, reason: "one of \(parts) parts of a model",
        remedy: "join them with llama-gguf-split --merge")
    }
    return model
  }

  private static func openFolder(
    _ path: String
  ) throws(CheckpointError) -> (Kind, any TensorSource) {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw .cannotRead(file: path, reason: "the folder cannot be listed")
    }
    let folder = ModelFolder(path)
    guard names.contains("config.json") else {
      let remedy =
        adapterRemedy(names)
        ?? names.ending(in: ".gguf").first.map { "give the .gguf file itself: \(path)/\($0)" }
        ?? "give the folder of a Hugging Face model, with config.json and .safetensors files"
      throw .notAModel(path: path, reason: "a folder without config.json", remedy: remedy)
    }
    let config = try ConfigurationFile(folder.file("config.json"))
    let generation =
      names.contains("generation_config.json")
      ? try ConfigurationFile(folder.file("generation_config.json")) : nil

    return (
      .huggingFace(config: config, generationConfig: generation), try weights(of: folder, names)
    )
  }

  /// What to do with a folder of the differences that PEFT trained, nil if it is none.
  private static func adapterRemedy(_ names: [String]) -> String? {
    names.contains("adapter_config.json")
      ? "it holds an adapter; merge it into its model, in Python: AutoPeftModelForCausalLM"
        + ".from_pretrained(…).merge_and_unload().save_pretrained(\"NEW-FOLDER\")" : nil
  }

  /// The same preference as transformers: safetensors, pickles; of each one file, then an index. Between the two, whatever
  /// safetensors there are; pickles of other names are as often an optimizer's state.
  private static func weights(
    of folder: ModelFolder, _ names: [String]
  ) throws(CheckpointError) -> any TensorSource {
    func safetensors(_ file: String) throws(CheckpointError) -> any TensorSource {
      try SafetensorsFile(file)
    }
    func pickle(_ file: String) throws(CheckpointError) -> any TensorSource {
      try PyTorchFile(file)
    }
    if names.contains("model.safetensors") {
      return try safetensors(folder.file("model.safetensors"))
    }
    if names.contains("model.safetensors.index.json") {
      return try ShardedTensors(
        index: folder.file("model.safetensors.index.json"), opening: safetensors)
    }
    var files: [String] = []
    for name in names.ending(in: ".safetensors") { files.append(try folder.file(name)) }
    if !files.isEmpty {
      return try ShardedTensors(files: files, in: folder.path, opening: safetensors)
    }
    if names.contains("pytorch_model.bin") {
      return try pickle(folder.file("pytorch_model.bin"))
    }
    if names.contains("pytorch_model.bin.index.json") {
      return try ShardedTensors(
        index: folder.file("pytorch_model.bin.index.json"), opening: pickle)
    }
    let others = [".bin", ".pt", ".pth", ".h5", ".msgpack"].flatMap { names.ending(in: $0) }
    guard let other = others.first else {
      throw .notAModel(
        path: folder.path, reason: "a folder with config.json but without weights",
        remedy: "download the model's .safetensors files into it")
    }
    throw .notAModel(
      path: folder.path,
      reason: "its weights (\(other)) are neither safetensors nor "
        + "pytorch_model.bin",
      remedy: "convert them, in Python: from transformers import AutoModel; "
        + "AutoModel.from_pretrained(\"\(folder.path)\").save_pretrained(\"NEW-FOLDER\")")
  }
}

extension [String] {
  /// Those that end in `suffix`, byte by byte.
  fileprivate func ending(in suffix: String) -> [String] {
    filter { $0.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }
  }
}

/// The local cache of the Hugging Face hub: `models--org--name/snapshots/revision`, the revision in `refs/main`.
struct HubCache {
  let path: String

  init(environment: [String: String]) {
    // As Python's expanduser: users write ~ into these variables.
    func expanded(_ path: String) -> String {
      guard path == "~" || path.hasPrefix("~/") else { return path }
      return (environment["HOME"] ?? NSHomeDirectory()) + path.dropFirst()
    }
    func set(_ name: String) -> String? {
      environment[name].flatMap { $0.isEmpty ? nil : expanded($0) }
    }
    let home =
      set("HF_HOME") ?? (set("XDG_CACHE_HOME") ?? expanded("~/.cache")) + "/huggingface"
    path = set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") ?? home + "/hub"
  }

  /// The folder of a model's main revision. Throws `CheckpointError.notAModel`, `invalidField`, `unsafePath`.
  func snapshot(of name: String) throws(CheckpointError) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy(Self.isPlain) else {
      throw .notAModel(
        path: name, reason: "no such file or folder",
        remedy: "check the path, or give a hub name like org/name that lies in \(path)")
    }
    let folder = "\(path)/models--\(parts.joined(separator: "--"))"
    guard FileManager.default.fileExists(atPath: folder) else {
      throw .notAModel(
        path: name, reason: "no such file or folder, and no such model in \(path)",
        remedy: "check the path, or download the model: hf download \(name)")
    }
    let reference = "\(folder)/refs/main"
    guard FileManager.default.fileExists(atPath: reference) else {
      throw .notAModel(
        path: name, reason: "the cache has no main revision of it (\(reference))",
        remedy: "download it again (hf download \(name)), or give the snapshot's folder")
    }
    let file = try MappedFile(reference)
    let longest = 256
    let revision = String(decoding: try file.copy(0..<min(file.count, longest)), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    guard file.count < longest, Self.isPlain(revision[...]) else {
      throw .invalidField(file: reference, field: "revision", reason: "it is no revision's name")
    }
    let snapshots = ModelFolder("\(folder)/snapshots")
    let snapshot = "\(snapshots.path)/\(revision)"
    guard FileManager.default.fileExists(atPath: snapshot) else {
      throw .notAModel(
        path: name, reason: "the cache lacks its main revision (\(snapshot))",
        remedy: "download it again (hf download \(name)), or give another snapshot's folder")
    }
    return try snapshots.file(revision)
  }

  /// Whether this is a name and no path: letters, digits, `-`, `_` and `.`, and not only dots.
  private static func isPlain(_ part: Substring) -> Bool {
    part.contains { $0 != "." }
      && part.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
          UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
