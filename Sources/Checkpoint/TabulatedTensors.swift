import Files

/// A source with a table of its tensors, by name.
protocol TabulatedTensors: TensorSource {
  var table: TensorTable { get }
}

extension TabulatedTensors {
  /// All tensors, in the order of the file or the index, including those of unsupported types.
  public var tensors: [TensorInfo] { table.infos }

  /// The description of a tensor; nil if there is none of this name.
  public func info(_ name: String) -> TensorInfo? {
    table.position(of: name).map { table.infos[$0] }
  }
}

/// A source that is a single mapped file.
protocol MappedTensors: TabulatedTensors {
  var file: MappedFile { get }
}

extension MappedTensors {
  /// The path of the file.
  public var path: String { file.path }

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  public func tensor(_ name: String) throws(FileError) -> StoredTensor {
    try table.tensor(name, in: file)
  }

  /// The bytes of any tensor. Throws `FileError.missingTensor`.
  public func storedBytes(_ name: String) throws(FileError) -> StoredBytes {
    try table.storedBytes(name, in: file)
  }

  /// Throws `FileError.changedWhileMapped` if the file changed since it was opened.
  public func checkIntact() throws(FileError) { try file.checkIntact() }
}
