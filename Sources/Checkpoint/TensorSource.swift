import Files

/// Named weights: safetensors, their shards, and GGUF look the same from here up.
public protocol TensorSource: Sendable {
  /// The file, or what names the files or holds them, for messages.
  var path: String { get }

  /// What there is, in the order of the files; unsupported types included.
  var tensors: [TensorInfo] { get }

  /// What is known of a tensor, nil if there is none of this name. Names are compared by their bytes.
  func info(_ name: String) -> TensorInfo?

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  func tensor(_ name: String) throws(FileError) -> StoredTensor

  /// A tensor's bytes, whatever their type. Throws `FileError.missingTensor`.
  func storedBytes(_ name: String) throws(FileError) -> StoredBytes

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened, so that what was computed from
  /// it is not to be believed.
  func checkIntact() throws(FileError)
}

/// The bytes of a tensor as a file has them.
public struct StoredBytes: @unchecked Sendable {
  /// The bytes, valid as long as `owner` lives, at any alignment.
  public let bytes: UnsafeRawBufferPointer
  /// The file, for messages.
  public let file: String
  /// Whatever keeps the bytes alive.
  public let owner: AnyObject
}

extension TensorSource {
  /// Of what can be computed with; sources of files have others too.
  public func storedBytes(_ name: String) throws(FileError) -> StoredBytes {
    let tensor = try tensor(name)
    return StoredBytes(bytes: tensor.bytes, file: tensor.file, owner: tensor.owner)
  }

  /// Whether there is a tensor of this name.
  public func contains(_ name: String) -> Bool { info(name) != nil }
}
