import Files

/// Weights in several files: those that an index such as `model.safetensors.index.json` names, or all files of a folder.
public final class ShardedTensors: TabulatedTensors {
  /// The index file, or the folder if it has none; for messages.
  public let path: String
  /// The opened files.
  public let shards: [any TensorSource]
  /// The names of the files, as in the index.
  let fileNames: [String]
  /// The number of tensors that the index names but no file contains.
  let absent: Int
  let table: TensorTable
  private let shardOfTensor: [Int]  // by position in `table`

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  public func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try shards[shardOfTensor[position]].tensor(name)
  }

  /// The bytes of any tensor. Throws `FileError.missingTensor`.
  public func storedBytes(_ name: String) throws(FileError) -> StoredBytes {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try shards[shardOfTensor[position]].storedBytes(name)
  }

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened.
  public func checkIntact() throws(FileError) {
    for shard in shards { try shard.checkIntact() }
  }

  /// A function that opens the shard at a path.
  public typealias Opening = (String) throws(FileError) -> any TensorSource

  /// Reads an index, `{"weight_map": {"tensor": "model-00001-of-00002.safetensors", …}}`, and opens its shards.
  ///
  /// As in the reference implementation, the index determines the files, and the files determine the tensors: a tensor that
  /// is in another file than the index says is found, and one that no file contains is an error only when it is requested.
  /// A shard must be in the index's folder or among its blobs (see `ModelFolder`). Throws `FileError`: what
  /// `JSONValue.parse` and `open` throw, `missingField`, `invalidField`, `unsafePath`, and `notAModel` if shards are missing.
  public convenience init(index path: String, opening open: Opening) throws(FileError) {
    let index = try ConfigurationFile(path)
    guard let map = index.object["weight_map"] else {
      throw .missingField(file: path, field: "weight_map")
    }
    guard let members = map.object?.members else {
      throw .invalidField(file: path, field: "weight_map", reason: "not an object")
    }
    let folder = ModelFolder(containing: path)
    var shards: [(name: String, source: any TensorSource)] = []
    var (seen, missing): (Set<UTF8Key>, [String]) = ([], [])
    for (tensor, value) in members {
      guard let name = value.string else {
        throw .invalidField(
          file: path, field: "weight_map.\(tensor)", reason: "not a file name")
      }
      guard seen.insert(UTF8Key(name)).inserted else { continue }
      let file: String
      do {
        file = try folder.resolve(name, file: path, field: "weight_map.\(tensor)")
      } catch .cannotRead {
        missing.append(name)
        continue
      }
      if missing.isEmpty { shards.append((name, try open(file))) }
    }
    guard missing.isEmpty else {
      let count = seen.count == 1 ? "the file" : "\(missing.count) of the \(seen.count) files"
      throw .notAModel(
        path: path,
        reason: "\(count) it names cannot be found: "
          + missing.prefix(3).map { quoted($0) }.joined(separator: ", ")
          + (missing.count > 3 ? ", …" : ""),
        remedy:
          "download what is missing; or, if the folder has all weights in other files, remove "
          + "the index")
    }
    try self.init(shards, of: path, listed: members.map { ($0.key, $0.value.string ?? "") })
  }

  /// Combines several files: first the tensors `listed` for a file that has them, in that order, then all others.
  ///
  /// Throws `FileError.notAModel` if two files have a tensor of the same name and `listed` does not say which one to use.
  init(
    _ shards: [(name: String, source: any TensorSource)], of path: String,
    listed: [(tensor: String, file: String)] = []
  ) throws(FileError) {
    let numbers = Dictionary(
      shards.enumerated().map { (UTF8Key($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    var owners: [UTF8Key: Int] = [:]
    var found: [(info: TensorInfo, shard: Int)] = []
    for (tensor, file) in listed {
      guard let shard = numbers[UTF8Key(file)], let info = shards[shard].source.info(tensor),
        owners.updateValue(shard, forKey: UTF8Key(tensor)) == nil
      else { continue }
      found.append((info, shard))
    }
    let settled = owners
    for (i, shard) in shards.enumerated() {
      for info in shard.source.tensors where settled[UTF8Key(info.name)] == nil {
        if let other = owners.updateValue(i, forKey: UTF8Key(info.name)) {
          throw .notAModel(
            path: path,
            reason: "\(quoted(info.name)) is in both \(quoted(shards[other].name)) and "
              + quoted(shard.name),
            remedy: "leave only one set of weights there")
        }
        found.append((info, i))
      }
    }
    self.path = path
    self.shards = shards.map(\.source)
    fileNames = shards.map(\.name)
    absent = listed.count { owners[UTF8Key($0.tensor)] == nil }
    shardOfTensor = found.map(\.shard)
    table = try TensorTable(found.map(\.info), file: path)
  }
}
