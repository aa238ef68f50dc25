import Files

/// A source of named weights: the common interface to safetensors, PyTorch and GGUF files, single or in parts.
public protocol TensorSource: Sendable {
  /// The file, the index or the folder, for messages.
  var path: String { get }

  /// All tensors, in the order of the files, including those of unsupported types.
  var tensors: [TensorInfo] { get }

  /// The description of a tensor; nil if there is none of this name. Names are compared by their bytes.
  func info(_ name: String) -> TensorInfo?

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  func tensor(_ name: String) throws(FileError) -> StoredTensor

  /// The bytes of a tensor of any type. Throws `FileError.missingTensor`.
  func storedBytes(_ name: String) throws(FileError) -> StoredBytes

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened; results computed from it are then invalid.
  func checkIntact() throws(FileError)
}

/// The bytes of a tensor as they are stored in a file.
public struct StoredBytes: @unchecked Sendable {
  /// The bytes, valid as long as `owner` lives, at any alignment.
  public let bytes: UnsafeRawBufferPointer
  /// The file, for messages.
  public let file: String
  /// The object that keeps the bytes alive.
  public let owner: AnyObject
}

extension TensorSource {
  /// The bytes of a tensor of a supported type. Sources that read files implement it for all types.
  public func storedBytes(_ name: String) throws(FileError) -> StoredBytes {
    let tensor = try tensor(name)
    return StoredBytes(bytes: tensor.bytes, file: tensor.file, owner: tensor.owner)
  }

  /// Whether there is a tensor of this name.
  public func contains(_ name: String) -> Bool { info(name) != nil }
}
