import Files

/// The weights in the folder of a Hugging Face model, chosen among the files that hold weights.
///
/// The choice is that of transformers: the file that config.json names, else safetensors before pickles, and for each a
/// single file before an index. Safetensors under other names, which transformers would not read, come last: in a folder with
/// pickles they may as well be an optimizer's state.
struct FolderWeights {
  let source: any TensorSource
  let choice: WeightChoice
  /// Decisions that the user should know about, one sentence each.
  let notes: [String]

  private static let (file, index) = ("model.safetensors", "model.safetensors.index.json")
  private static let (pickle, pickleIndex) = ("pytorch_model.bin", "pytorch_model.bin.index.json")

  /// Whether a folder with these files has weights in a supported format.
  static func areThere(_ names: [String]) -> Bool {
    !names.ending(in: ".safetensors").isEmpty
      || [index, pickle, pickleIndex].contains { names.contains($0) }
  }

  /// Chooses and opens the weights. Throws `FileError.notAModel`, and what the files' readers throw.
  init(
    _ folder: ModelFolder, _ names: [String], _ config: ConfigurationFile
  ) throws(FileError) {
    let (taken, reason, isIndex, isPickle) = try Self.choose(folder, names, config)
    func opened(_ file: String) throws(FileError) -> any TensorSource {
      isPickle ? try PyTorchFile(file) : try SafetensorsFile(file)
    }
    var files = taken
    var absent = 0
    if isIndex {
      let shards = try ShardedTensors(index: folder.file(taken[0]), opening: opened)
      (source, absent) = (shards, shards.absent)
      files += shards.fileNames
    } else if taken.count == 1 {
      source = try opened(folder.file(taken[0]))
    } else {
      var shards: [(String, any TensorSource)] = []
      for name in taken { shards.append((name, try opened(folder.file(name)))) }
      source = try ShardedTensors(shards, of: folder.path)
    }
    let left = names.filter { Self.holdsWeights($0) && !files.contains($0) }
    choice = WeightChoice(folder: folder.path, files: files, reason: reason, left: left)
    var notes: [String] = []
    if !left.isEmpty {
      notes.append(
        "\(folder.path): weights are read from \(choice.listed(files)), \(reason), and not from "
          + "\(choice.listed(left)) beside it")
    }
    if absent > 0 {
      notes.append(
        "\(folder.path): \(taken[0]) is stale; no file holds \(absent) of the tensors it names")
    }
    self.notes = notes
  }

  /// The index or the files to read, and the reason for the choice. Throws `FileError.notAModel`, `invalidField`.
  private static func choose(
    _ folder: ModelFolder, _ names: [String], _ config: ConfigurationFile
  ) throws(FileError) -> (files: [String], reason: String, isIndex: Bool, isPickle: Bool) {
    let key = "transformers_weights"
    if config[key] != nil {
      let name = try config.string(key)
      let isIndex = name.hasSuffix(".safetensors.index.json")
      guard isIndex || name.hasSuffix(".safetensors"), !name.contains("/"), names.contains(name)
      else {
        throw config.invalid(key, "names no safetensors file in the folder (\(quoted(name)))")
      }
      return ([name], "which config.json names as \(key)", isIndex, false)
    }
    if names.contains(file) {
      return ([file], "which transformers prefers to all others", false, false)
    }
    if names.contains(index) {
      return ([index], "because there is no \(file)", true, false)
    }
    if names.contains(pickle) {
      return ([pickle], "because there is no \(file) and no safetensors index", false, true)
    }
    if names.contains(pickleIndex) {
      return (
        [pickleIndex], "because there is no \(file), no other index and no \(pickle)", true, true
      )
    }
    let loose = loose(names)
    guard !loose.isEmpty else { throw noWeights(folder, names) }
    for part in loose.compactMap({ PartName($0) }) {
      for number in 1...part.count where !loose.contains(part.name(of: number)) {
        throw .notAModel(
          path: folder.path,
          reason: "part \(number) of \(part.count) is missing: "
            + quoted(part.name(of: number)),
          remedy: "download it, and the index beside it")
      }
    }
    return (
      loose,
      loose.count == 1
        ? "the only safetensors file" : "all safetensors files of a folder without an index",
      false, false
    )
  }

  /// The safetensors files that are read if there is no index: all except those of an adapter, and those named
  /// `consolidated…`, a second set of the same weights, if there are others.
  private static func loose(_ names: [String]) -> [String] {
    let all = names.ending(in: ".safetensors")
    let own = all.filter { !$0.hasPrefix("consolidated") && !$0.hasPrefix("adapter_") }
    return own.isEmpty ? all.filter { !$0.hasPrefix("adapter_") } : own
  }

  /// Whether a file has a name under which the weights of a whole model are published.
  private static func holdsWeights(_ name: String) -> Bool {
    let endings = [".safetensors", ".safetensors.index.json", ".gguf", ".pth", ".h5", ".msgpack"]
    return endings.contains { name.utf8.suffix($0.utf8.count).elementsEqual($0.utf8) }
      || name.hasPrefix("pytorch_model") && name.contains(".bin")
  }

  private static func noWeights(_ folder: ModelFolder, _ names: [String]) -> FileError {
    let path = folder.path
    if let remedy = CheckpointDirectory.adapterRemedy(folder, names) {
      return .notAModel(path: path, reason: "its weights are an adapter's", remedy: remedy)
    }
    let others = [".bin", ".pt", ".pth", ".h5", ".msgpack"].flatMap { names.ending(in: $0) }
    guard let other = others.first else {
      return .notAModel(
        path: path, reason: "a folder with config.json but without weights",
        remedy: "download the model's .safetensors files into it")
    }
    return .notAModel(
      path: path,
      reason: "its weights (\(other)) are neither safetensors nor "
        + "pytorch_model.bin",
      remedy: "convert them, in Python: from transformers import AutoModel; "
        + "AutoModel.from_pretrained(\"\(path)\").save_pretrained(\"NEW-FOLDER\")")
  }
}

extension [String] {
  /// The strings that end in `suffix`, compared by their bytes.
  func ending(in suffix: String) -> [String] {
    filter { $0.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }
  }
}
