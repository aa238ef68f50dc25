import Files
import LinearAlgebra

/// What torch.save writes since version 1.6: a zip archive with a pickle that says which tensor is which part of which
/// storage, and the storages. `pytorch_model.bin` is one.
///
/// The pickle is read, not run (see `Pickle`). A tensor is a view of its storage in the mapped file; its numbers must lie
/// row after row, and several may share them, as tied weights do. Everything is checked when the file is opened.
/// Format: torch/serialization.py, torch/_utils.py.
public final class PyTorchFile: MappedTensors {
  /// The mapped file.
  public let file: MappedFile
  let table: TensorTable

  /// Maps the file at `path` and reads its directory and its pickle, a dictionary of tensors.
  ///
  /// Throws `FileError`: `cannotRead`, `notAModel` (the format before 1.6), what `ZipArchive` and `Pickle` throw,
  /// `missingField`, `invalidField`, `duplicateName`, `overflow`, `wrongSize`, `outOfBounds`, `strided`.
  public init(_ path: String) throws(FileError) {
    let archive = try TorchArchive(path)
    guard case .dictionary(let root) = archive.pickle.root else {
      throw archive.invalid("the pickle", "it holds no dictionary of tensors")
    }
    var infos: [TensorInfo] = []
    for (key, value) in archive.pickle.dictionaries[root] {
      guard case .text(let name) = key else {
        throw archive.invalid("the pickle", "a tensor's name is no text")
      }
      infos.append(try archive.info(name, value))
    }
    table = try TensorTable(infos, file: path)
    try archive.file.checkIntact()
    file = archive.file
  }
}
