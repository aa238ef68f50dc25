import Files
import LinearAlgebra

/// A file of torch.save since version 1.6, such as `pytorch_model.bin`: a zip archive that contains storages, and a pickle
/// that describes each tensor as a part of a storage.
///
/// The pickle is parsed, not executed (see `Pickle`). A tensor is a view of its storage in the mapped file. Its numbers must
/// be in row-major order; tensors may share numbers, as tied weights do. Everything is checked when the file is opened.
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
      throw archive.invalid("the pickle", "not a dictionary of tensors")
    }
    var infos: [TensorInfo] = []
    for (key, value) in archive.pickle.dictionaries[root] {
      guard case .text(let name) = key else {
        throw archive.invalid("the pickle", "a tensor's name is not a string")
      }
      infos.append(try archive.info(name, value))
    }
    table = try TensorTable(infos, file: path)
    try archive.file.checkIntact()
    file = archive.file
  }
}
