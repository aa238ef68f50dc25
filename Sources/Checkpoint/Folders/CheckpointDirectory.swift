import Files
import Foundation

/// A model on disk: its weights, its configuration and its other files.
public struct CheckpointDirectory: Sendable {
  /// Where the model's configuration comes from.
  public enum Kind: Sendable {
    /// From `config.json`.
    case huggingFace(config: ConfigurationFile)
    /// From the metadata of the GGUF file, or of the first part of a split one.
    case gguf(GGUFFile)
  }

  /// The path of the folder or of the `.gguf` file.
  public let path: String
  /// The path or hub name by which the model was requested.
  public let request: String
  /// The model's configuration.
  public let kind: Kind
  /// The model's weights.
  public let tensors: any TensorSource
  /// Which files the weights are read from, and why.
  public let choice: WeightChoice
  /// Decisions that the user should know about, one sentence each: for example, which of two sets of weights was chosen.
  public let notes: [String]

  /// The path of `tokenizer.json`, if the folder has one; a GGUF file holds its own vocabulary. Throws
  /// `FileError.unsafePath`.
  public var tokenizerPath: String? {
    get throws(FileError) { try file("tokenizer.json") }
  }

  /// The path of a file in the folder; nil if there is none of this name, or if the model is a `.gguf` file.
  ///
  /// Throws `FileError.unsafePath` if it is a link out of the folder, except into the blobs of the same cached model.
  public func file(_ name: String) throws(FileError) -> String? {
    guard case .huggingFace = kind, FileManager.default.fileExists(atPath: "\(path)/\(name)") else {
      return nil
    }
    return try ModelFolder(path).file(name)
  }

  /// Opens a model: a folder with config.json and safetensors or pytorch_model.bin, a `.gguf` file, a folder with one, or
  /// a Hugging Face hub name (`org/name`) that is in the local cache. An existing path takes precedence over a hub name.
  /// Nothing is downloaded.
  ///
  /// The cache is found as huggingface_hub finds it: `HF_HUB_CACHE` in `environment`, else `HF_HOME`/hub, else
  /// ~/.cache/huggingface/hub. Throws `FileError.notAModel` if there is nothing to open, `unsafePath` for a file that is a
  /// link out of the folder (except into the blobs of the same cached model), and what the files' readers throw.
  public init(
    opening model: String,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(FileError) {
    var isFolder: ObjCBool = false
    var given = model
    if !FileManager.default.fileExists(atPath: model, isDirectory: &isFolder) {
      given = try HubCache(environment: environment).snapshot(of: model)
      isFolder = true
    }
    guard isFolder.boolValue else {
      self = CheckpointDirectory(
        of: model, try Self.openFile(given), reason: "the file that was given", left: [])
      return
    }
    let folder = ModelFolder(given)
    let names = try Self.names(in: given)
    if let (name, others) = try Self.onlyGGUF(of: folder, names) {
      self = CheckpointDirectory(
        of: model, try Self.openFile(try folder.file(name)),
        reason: "the only GGUF model in the folder", left: others)
      return
    }
    let config = try ConfigurationFile(folder.file("config.json"))
    let weights = try FolderWeights(folder, names, config)
    (path, request) = (given, model)
    kind = .huggingFace(config: config)
    (tensors, choice, notes) = (weights.source, weights.choice, weights.notes)
  }

  private init(of request: String, _ parts: GGUFParts, reason: String, left: [String]) {
    self.request = request
    path = parts.first.path
    (kind, tensors, notes) = (.gguf(parts.first), parts.tensors, [])
    let count = parts.names.count
    choice = WeightChoice(
      folder: ModelFolder(containing: path).path, files: parts.names,
      reason: count == 1 ? reason : "\(reason), in \(count) parts", left: left)
  }

  private static func openFile(_ path: String) throws(FileError) -> GGUFParts {
    // A file with GGUF's magic number may have any name. Without it, only a file named .gguf is opened as GGUF, so that the
    // error is about the format.
    let isNamed = path.utf8.suffix(5).elementsEqual(".gguf".utf8)
    let file = try MappedFile(path)
    let beginning = try file.copy(0..<min(GGUFFile.magic.count, file.count))
    guard isNamed || beginning == GGUFFile.magic else {
      throw .notAModel(
        path: path, reason: "not a GGUF file",
        remedy: "give a .gguf file, or the folder that holds config.json and the .safetensors files"
      )
    }
    let model = try GGUFParts(path)
    switch model.first["general.type"]?.string {
    case "adapter":
      throw .notAModel(
        path: path, reason: "an adapter, not a model",
        remedy: "merge it into its model with llama-export-lora")
    case "imatrix", "mmproj":
      throw .notAModel(
        path: path, reason: "a companion of a model's file (an imatrix or mmproj), not a model",
        remedy: "give the model's .gguf file")
    default: return model
    }
  }

  /// The names of a folder's contents, sorted.
  private static func names(in path: String) throws(FileError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    } catch {
      throw .cannotRead(file: path, reason: "the folder cannot be listed")
    }
  }

  /// The folder's GGUF file (of a split one, the first part) and the projectors in the folder, if it is the only model there
  /// and there are no other weights. nil if the folder is to be opened by its config.json. Throws `FileError.notAModel` if
  /// it has neither.
  private static func onlyGGUF(
    of folder: ModelFolder, _ names: [String]
  ) throws(FileError) -> (name: String, others: [String])? {
    let (files, adapter) = (names.ending(in: ".gguf"), adapterRemedy(folder, names))
    if files.isEmpty || adapter != nil || FolderWeights.areThere(names) {
      if names.contains("config.json") { return nil }
      throw .notAModel(
        path: folder.path, reason: "a folder without config.json",
        remedy: adapter ?? files.first.map { "give the .gguf file itself: \(folder.path)/\($0)" }
          ?? names.first { $0 == "0_Transformer" }.map {
            "it is a sentence-transformers model; give the folder of its transformer: "
              + "\(folder.path)/\($0)"
          }
          ?? "give the folder of a Hugging Face model, with config.json and .safetensors files")
    }
    // The image encoder of a multimodal model is a file of its own.
    let projectors = files.filter { $0.lowercased().contains("mmproj") }
    let models = files.filter { !projectors.contains($0) }
    let distinct = Set(models.map { PartName($0)?.model ?? $0 })
    guard distinct.count == 1, let name = models.first else {
      throw .notAModel(
        path: folder.path, reason: "a folder of \(files.count) .gguf files",
        remedy: "give one of them: \(files.prefix(20).joined(separator: ", "))")
    }
    return (name, projectors)
  }

  /// What to do with a folder that holds a PEFT adapter; nil if it holds none.
  static func adapterRemedy(_ folder: ModelFolder, _ names: [String]) -> String? {
    let name = "adapter_config.json"
    guard names.contains(name) else { return nil }
    let config = try? ConfigurationFile(folder.file(name))
    let base = config?["base_model_name_or_path"]?.string.map { " of \(quoted($0))" } ?? ""
    return "it holds an adapter\(base); merge it into its model, in Python: "
      + "AutoPeftModelForCausalLM.from_pretrained(…).merge_and_unload().save_pretrained("
      + "\"NEW-FOLDER\")"
  }
}
