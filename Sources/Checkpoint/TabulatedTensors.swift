import Files

/// A source whose tensors stand in a table, which finds them by name.
protocol TabulatedTensors: TensorSource {
  var table: TensorTable { get }
}

extension TabulatedTensors {
  /// What there is, in the order of the file or the index; unsupported types included.
  public var tensors: [TensorInfo] { table.infos }

  /// What is known of a tensor, nil if there is none of this name.
  public func info(_ name: String) -> TensorInfo? {
    table.position(of: name).map { table.infos[$0] }
  }
}

/// A source that is one mapped file.
protocol MappedTensors: TabulatedTensors {
  var file: MappedFile { get }
}

extension MappedTensors {
  /// Where it lies.
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
