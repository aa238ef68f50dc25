import Files

/// Weights spread over several files, by an index such as `model.safetensors.index.json` or as all the files of a folder.
public final class ShardedTensors: TabulatedTensors {
  /// The index file, or the folder if it has none; for messages.
  public let path: String
  /// The files, opened.
  public let shards: [any TensorSource]
  /// Their names, as the index has them.
  let fileNames: [String]
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

  /// How a shard is opened, by its path.
  public typealias Opening = (String) throws(FileError) -> any TensorSource

  /// Reads an index, `{"weight_map": {"tensor": "model-00001-of-00002.safetensors", …}}`, and opens its shards. Tensors
  /// that the index does not name are left out.
  ///
  /// A shard lies in the index's folder or among its blobs (see `ModelFolder`). Throws `FileError`: what
  /// `JSONValue.parse` and `open` throw, `missingField`, `invalidField`, `unsafePath`, `missingTensor`.
  public init(index path: String, opening open: Opening) throws(FileError) {
    let index = try ConfigurationFile(path)
    guard let map = index.object["weight_map"] else {
      throw .missingField(file: path, field: "weight_map")
    }
    guard let members = map.object?.members else {
      throw .invalidField(file: path, field: "weight_map", reason: "it is no object")
    }
    let folder = ModelFolder(containing: path)
    var shards: [any TensorSource] = []
    var paths: [String] = []
    var names: [String] = []
    var opened: [UTF8Key: Int] = [:]
    var infos: [TensorInfo] = []
    var shardOfTensor: [Int] = []
    for (tensor, value) in members {
      guard let name = value.string else {
        throw .invalidField(
          file: path, field: "weight_map.\(tensor)", reason: "it is no file name")
      }
      let shard: Int
      if let known = opened[UTF8Key(name)] {
        shard = known
      } else {
        shard = shards.count
        let file = try folder.resolve(name, file: path, field: "weight_map.\(tensor)")
        shards.append(try open(file))
        paths.append(file)
        names.append(name)
        opened[UTF8Key(name)] = shard
      }
      guard let info = shards[shard].info(tensor) else {
        throw .missingTensor(file: paths[shard], tensor: tensor)
      }
      infos.append(info)
      shardOfTensor.append(shard)
    }
    self.path = path
    self.shards = shards
    fileNames = names
    table = try TensorTable(infos, file: path)
    self.shardOfTensor = shardOfTensor
  }

  /// Opens several files as one. Throws what `open` throws, and `duplicateName` if two hold a tensor of one name.
  public init(
    files: [String], in folder: String, opening open: Opening
  ) throws(FileError) {
    var shards: [any TensorSource] = []
    var infos: [TensorInfo] = []
    var shardOfTensor: [Int] = []
    for (i, file) in files.enumerated() {
      let shard = try open(file)
      shards.append(shard)
      infos += shard.tensors
      shardOfTensor += Array(repeating: i, count: shard.tensors.count)
    }
    path = folder
    self.shards = shards
    fileNames = files
    table = try TensorTable(infos, file: folder)
    self.shardOfTensor = shardOfTensor
  }
}
