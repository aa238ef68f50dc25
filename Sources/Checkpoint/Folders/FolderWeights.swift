import Files

/// The weights in a folder of a Hugging Face model, chosen among the files that hold some.
///
/// The same preference as transformers: safetensors, pickles; of each one file, then an index. Between the two, whatever
/// safetensors there are; pickles of other names are as often an optimizer's state.
struct FolderWeights {
  let source: any TensorSource
  /// What lies there besides, and is not read.
  let notes: [String]

  private static let (file, index) = ("model.safetensors", "model.safetensors.index.json")
  private static let (pickle, pickleIndex) = ("pytorch_model.bin", "pytorch_model.bin.index.json")

  /// Whether a folder of these files has weights of a kind that is read.
  static func areThere(_ names: [String]) -> Bool {
    !names.ending(in: ".safetensors").isEmpty
      || [index, pickle, pickleIndex].contains { names.contains($0) }
  }

  /// Opens them. Throws `FileError.notAModel`, and what the files' readers throw.
  init(_ folder: ModelFolder, _ names: [String]) throws(FileError) {
    func safetensors(_ file: String) throws(FileError) -> any TensorSource {
      try SafetensorsFile(file)
    }
    func pickle(_ file: String) throws(FileError) -> any TensorSource {
      try PyTorchFile(file)
    }
    let loose = Self.loose(names)
    let taken: [String]
    if names.contains(Self.file) {
      taken = [Self.file]
      source = try safetensors(folder.file(Self.file))
    } else if names.contains(Self.index) {
      let shards = try ShardedTensors(index: folder.file(Self.index), opening: safetensors)
      taken = [Self.index] + shards.fileNames
      source = shards
    } else if !loose.isEmpty {
      taken = loose
      var files: [String] = []
      for name in loose { files.append(try folder.file(name)) }
      source = try ShardedTensors(files: files, in: folder.path, opening: safetensors)
    } else if names.contains(Self.pickle) {
      taken = [Self.pickle]
      source = try pickle(folder.file(Self.pickle))
    } else if names.contains(Self.pickleIndex) {
      let shards = try ShardedTensors(index: folder.file(Self.pickleIndex), opening: pickle)
      taken = [Self.pickleIndex] + shards.fileNames
      source = shards
    } else {
      throw Self.noWeights(in: folder.path, names)
    }
    let others = names.filter { Self.holdsWeights($0) && !taken.contains($0) }
    guard !others.isEmpty else {
      notes = []
      return
    }
    let (read, left) = (Self.listed(taken), Self.listed(others))
    notes = ["\(folder.path): weights are read from \(read), and not from \(left) beside it"]
  }

  /// Safetensors that are read without an index: all, but those of a second set under its own name, or of an adapter.
  private static func loose(_ names: [String]) -> [String] {
    let all = names.ending(in: ".safetensors")
    let own = all.filter { !$0.hasPrefix("consolidated") && !$0.hasPrefix("adapter_") }
    return own.isEmpty ? all.filter { !$0.hasPrefix("adapter_") } : own
  }

  /// Whether a file's name is one of those that weights of a whole model are published under.
  private static func holdsWeights(_ name: String) -> Bool {
    let endings = [".safetensors", ".safetensors.index.json", ".gguf", ".pth", ".h5", ".msgpack"]
    return endings.contains { name.utf8.suffix($0.utf8.count).elementsEqual($0.utf8) }
      || name.hasPrefix("pytorch_model") && name.contains(".bin")
  }

  /// The first of them and how many more there are.
  private static func listed(_ names: [String]) -> String {
    let more = names.count > 3 ? " and \(names.count - 2) other files" : ""
    return names.prefix(names.count > 3 ? 2 : 3).map { escaped($0, limit: 80) }.joined(
      separator: ", ") + more
  }

  private static func noWeights(in path: String, _ names: [String]) -> FileError {
    if let remedy = CheckpointDirectory.adapterRemedy(names) {
      return .notAModel(path: path, reason: "its weights are those of an adapter", remedy: remedy)
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
  /// Those that end in `suffix`, byte by byte.
  func ending(in suffix: String) -> [String] {
    filter { $0.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }
  }
}
