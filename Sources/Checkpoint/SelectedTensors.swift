import Files

/// Some of the tensors of a source.
package struct SelectedTensors: TabulatedTensors {
  private let base: any TensorSource
  let table: TensorTable

  /// The listed tensors of `base`. Throws `FileError.duplicateName`.
  package init(_ kept: [TensorInfo], of base: any TensorSource) throws(FileError) {
    self.base = base
    table = try TensorTable(kept, file: base.path)
  }

  /// The file, the index or the folder, for messages.
  package var path: String { base.path }

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  package func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard table.position(of: name) != nil else {
      throw .missingTensor(file: path, tensor: name)
    }
    return try base.tensor(name)
  }

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened.
  package func checkIntact() throws(FileError) { try base.checkIntact() }
}
