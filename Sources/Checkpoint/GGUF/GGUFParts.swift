import Files
import Foundation

/// A GGUF model in a single file, or in parts made by llama-gguf-split: `NAME-00001-of-00003.gguf` and so on.
///
/// All metadata but `split.…` are in the first part. Every part holds some of the tensors, which are not copied.
struct GGUFParts {
  /// The file with the metadata.
  let first: GGUFFile
  /// The tensors of all parts.
  let tensors: any TensorSource
  /// The file names of the parts, in order.
  let names: [String]

  /// Opens the model of which the file at `path` is the whole or any part.
  ///
  /// Throws `FileError`: `notAModel` if a part is missing or its name does not say which part it is, `missingField` and
  /// `invalidField` if `split.no`, `split.count` or `split.tensors.count` do not match the parts, and what `GGUFFile`
  /// throws.
  init(_ path: String) throws(FileError) {
    let given = try GGUFFile(path)
    let name = (path as NSString).lastPathComponent
    guard let count = given["split.count"]?.int, count > 1 else {
      (first, tensors, names) = (given, given, [name])
      return
    }
    guard let part = PartName(name), part.count == count else {
      throw .notAModel(
        path: path, reason: "one of \(count) parts of a model, but its name does not say which",
        remedy: "name the parts NAME-00001-of-\(String(format: "%05d", count)).gguf and so on, or "
          + "join them with llama-gguf-split --merge")
    }
    let folder = ModelFolder(containing: path)
    var parts: [(name: String, file: GGUFFile)] = []
    for number in 1...count {
      let name = part.name(of: number)
      guard FileManager.default.fileExists(atPath: "\(folder.path)/\(name)") else {
        throw .notAModel(
          path: path, reason: "part \(number) of \(count) is missing: \(quoted(name))",
          remedy: "put it into the folder of the others")
      }
      let file = number == part.number ? given : try GGUFFile(folder.file(name))
      try Self.check(file, "split.no", is: number - 1, "the file's name")
      try Self.check(file, "split.count", is: count, "the file's name")
      parts.append((name, file))
    }
    first = parts[0].file
    names = parts.map(\.name)
    try Self.check(
      first, "split.tensors.count", is: parts.reduce(0) { $0 + $1.file.tensors.count },
      "the number of tensors in the parts")
    tensors = try ShardedTensors(parts.map { ($0, $1) }, of: first.path)
  }

  private static func check(
    _ file: GGUFFile, _ key: String, is expected: Int, _ source: String
  ) throws(FileError) {
    let value = try file.int(key)
    guard value == expected else {
      throw .invalidField(
        file: file.path, field: key,
        reason: "it is \(value), but \(source) implies \(expected)")
    }
  }
}
