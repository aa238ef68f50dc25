import Foundation

/// Weights spread over several safetensors files, by a `model.safetensors.index.json` or as all the files of a folder.
public final class SafetensorsIndex: TensorSource {
  /// The index file, or the folder if it has none; for messages.
  public let path: String
  /// The files, opened.
  public let shards: [SafetensorsFile]
  private let table: TensorTable
  private let shardOfTensor: [Int]  // by position in `table`

  /// What there is, in the order of the index; unsupported types included.
  public var tensors: [TensorInfo] { table.infos }

  /// What is known of a tensor, nil if there is none of this name.
  public func info(_ name: String) -> TensorInfo? {
    table.position(of: name).map { table.infos[$0] }
  }

  /// A view of a tensor's bytes. Throws `CheckpointError.missingTensor` and `unsupportedType`.
  public func tensor(_ name: String) throws(CheckpointError) -> StoredTensor {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try shards[shardOfTensor[position]].tensor(name)
  }

  /// Throws `CheckpointError.changedWhileMapped` if a file changed since it was opened.
  public func checkIntact() throws(CheckpointError) {
    for shard in shards { try shard.checkIntact() }
  }

  /// Reads an index, `{"weight_map": {"tensor": "model-00001-of-00002.safetensors", …}}`, and opens its shards. Tensors
  /// that the index does not name are left out.
  ///
  /// A shard lies in the index's folder, or, when that is a snapshot in a Hugging Face cache, among the blobs of the
  /// same model. Throws `CheckpointError`: what `JSONValue.parse` and `SafetensorsFile` throw, `missingField`,
  /// `invalidField`, `unsafePath`, `missingTensor`.
  public init(index path: String) throws(CheckpointError) {
    let index = try ConfigurationFile(path)
    guard let map = index.object["weight_map"] else {
      throw .missingField(file: path, field: "weight_map")
    }
    guard let members = map.object?.members else {
      throw .invalidField(file: path, field: "weight_map", reason: "it is no object")
    }
    var shards: [SafetensorsFile] = []
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
        let file = try Self.resolve(name, beside: path, field: "weight_map.\(tensor)")
        shards.append(try SafetensorsFile(file))
        opened[UTF8Key(name)] = shard
      }
      guard let info = shards[shard].info(tensor) else {
        throw .missingTensor(file: shards[shard].file.path, tensor: tensor)
      }
      infos.append(info)
      shardOfTensor.append(shard)
    }
    self.path = path
    self.shards = shards
    table = try TensorTable(infos, file: path)
    self.shardOfTensor = shardOfTensor
  }

  /// Opens several files as one. Throws what `SafetensorsFile` throws, and `duplicateName` if two hold a tensor of one name.
  public init(files: [String], in folder: String) throws(CheckpointError) {
    var shards: [SafetensorsFile] = []
    var infos: [TensorInfo] = []
    var shardOfTensor: [Int] = []
    for (i, file) in files.enumerated() {
      let shard = try SafetensorsFile(file)
      shards.append(shard)
      infos += shard.tensors
      shardOfTensor += Array(repeating: i, count: shard.tensors.count)
    }
    path = folder
    self.shards = shards
    table = try TensorTable(infos, file: folder)
    self.shardOfTensor = shardOfTensor
  }

  /// The shard's path with all links resolved, once it is known to stay where the model is.
  private static func resolve(
    _ name: String, beside index: String, field: String
  ) throws(CheckpointError) -> String {
    let unsafe = CheckpointError.unsafePath(file: index, field: field, path: name)
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard !name.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual("..".utf8) })
    else { throw unsafe }  // an absolute path begins with an empty part
    let folder = (index as NSString).deletingLastPathComponent
    let path = (folder.isEmpty ? "." : folder) + "/" + name
    guard let home = realPath(folder.isEmpty ? "." : folder) else {
      throw .cannotRead(file: folder, reason: "the folder is gone")
    }
    guard let resolved = realPath(path) else {
      throw .cannotRead(file: path, reason: "\(field) names it, and it does not exist")
    }
    // …/models--org--name/snapshots/revision may link into …/models--org--name/blobs, and nowhere else.
    let homeParts = home.split(separator: "/").map(String.init)
    var allowed = [home + "/"]
    if homeParts.count >= 3, homeParts[homeParts.count - 2] == "snapshots",
      homeParts[homeParts.count - 3].hasPrefix("models--")
    {
      allowed.append("/" + homeParts.dropLast(2).joined(separator: "/") + "/blobs/")
    }
    guard allowed.contains(where: { resolved.utf8.starts(with: $0.utf8) }) else { throw unsafe }
    return resolved
  }
}

/// The path with every link resolved, nil if there is nothing at it.
func realPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
