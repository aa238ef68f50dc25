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

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened, so that what was computed from
  /// it is not to be believed.
  func checkIntact() throws(FileError)
}

extension TensorSource {
  /// Whether there is a tensor of this name.
  public func contains(_ name: String) -> Bool { info(name) != nil }
}
