/// What can be wrong with a model on disk. Every case names the file and the field or tensor; the description says
/// what to do about it.
///
/// Names that come from a file are untrusted, so they are shown escaped and shortened.
public enum FileError: Error, Equatable, Sendable {
  /// Opening, mapping or reading failed. `reason` is the system's message, or for example "it is empty".
  case cannotRead(file: String, reason: String)
  /// Writing failed.
  case cannotWrite(file: String, reason: String)
  /// The file changed, or became unreadable, while it was mapped.
  case changedWhileMapped(file: String)
  /// The file is not valid JSON at byte `offset`.
  case malformedJSON(file: String, offset: Int, reason: String)
  /// The file does not have this format.
  case notThisFormat(file: String, format: String, reason: String)
  /// The file has a version of the format that is not supported.
  case unsupportedVersion(file: String, format: String, version: Int)
  /// The file ends before `field` does.
  case truncated(file: String, field: String, needed: UInt64, available: UInt64)
  /// A length or count exceeds what a file of this size can hold, or the format's limit.
  case implausibleCount(file: String, field: String, count: UInt64, limit: UInt64)
  /// The product or sum of stored sizes overflows a 64-bit integer.
  case overflow(file: String, field: String)
  /// A required field is missing.
  case missingField(file: String, field: String)
  /// A field has an invalid value.
  case invalidField(file: String, field: String, reason: String)
  /// Bytes that must be UTF-8 are not valid UTF-8.
  case invalidText(file: String, field: String)
  /// Two tensors or metadata fields have the same name.
  case duplicateName(file: String, name: String)
  /// The stored number of bytes is not the one that shape and type require.
  case wrongSize(file: String, tensor: String, expected: Int, stored: Int)
  /// The tensor's bytes lie partly outside the file.
  case outOfBounds(file: String, tensor: String, end: UInt64, limit: UInt64)
  /// Two tensors share bytes.
  case overlap(file: String, tensor: String, other: String)
  /// Some bytes belong to no tensor, which the format does not allow.
  case gap(file: String, tensor: String, bytes: Int)
  /// The tensor's offset is not a multiple of the file's alignment.
  case misaligned(file: String, tensor: String, offset: UInt64, alignment: Int)
  /// An entry of a zip archive is compressed, encrypted, or inconsistent with its header.
  case unusableEntry(file: String, entry: String, reason: String)
  /// The pickle is not valid at byte `offset` of the file.
  case malformedPickle(file: String, offset: Int, reason: String)
  /// The pickle uses an opcode, function or class that storing tensors does not need.
  case forbiddenPickle(file: String, offset: Int, what: String)
  /// The tensor's numbers are not stored in row-major order.
  case strided(file: String, tensor: String, shape: [Int], strides: [Int])
  /// There is no kernel for the tensor's stored type.
  case unsupportedType(file: String, tensor: String, type: String)
  /// There is no tensor of this name.
  case missingTensor(file: String, tensor: String)
  /// There is no tensor of this name, but one whose name is this one with a prefix.
  case prefixedTensor(file: String, tensor: String, stored: String)
  /// The tensor does not have the shape that is needed.
  case wrongShape(file: String, tensor: String, shape: [Int], needed: String)
  /// A path in `field` leads out of the model's folder.
  case unsafePath(file: String, field: String, path: String)
  /// There is nothing at this path, or it is not a model; `remedy` says what to give instead.
  case notAModel(path: String, reason: String, remedy: String)
}

extension FileError: CustomStringConvertible {
  /// One or two sentences: the file, the field, what is wrong, and what to do. A file is called damaged only if no writer
  /// would have produced it. Control characters, which paths may contain too, are escaped.
  public var description: String { escaped(message) }

  private var message: String {
    let again = "the file is damaged or incomplete: copy or download it again"
    switch self {
    case .cannotRead(let file, let reason):
      return "\(file): cannot be read (\(reason)); check the path and its permissions, or get the "
        + "file again"
    case .cannotWrite(let file, let reason):
      return "\(file): cannot be written (\(reason)); check the folder, its permissions and space"
    case .changedWhileMapped(let file):
      return
        "\(file): changed or became unreadable while in use; leave the file alone and run again"
    case .malformedJSON(let file, let offset, let reason):
      return
        "\(file): not valid JSON at byte \(offset): \(reason); fix that place, or get the file "
        + "again"
    case .notThisFormat(let file, let format, let reason):
      return
        "\(file): not a \(format) file (\(reason)); download it again, or get the model as "
        + ".safetensors or .gguf"
    case .unsupportedVersion(let file, let format, let version):
      return "\(file): \(format) version \(version) is not supported; convert it to version 3"
    case .truncated(let file, let field, let needed, let available):
      return
        "\(file): ends within \(quoted(field)), which needs \(needed) bytes; \(available) are left; "
        + again
    case .implausibleCount(let file, let field, let count, let limit):
      return "\(file): \(quoted(field)) is \(count), but at most \(limit) is possible; \(again)"
    case .overflow(let file, let field):
      return "\(file): the sizes of \(quoted(field)) exceed a 64-bit integer; \(again)"
    case .missingField(let file, let field):
      return "\(file): \(quoted(field)) is missing; add it, or get the file again"
    case .invalidField(let file, let field, let reason):
      return "\(file): \(quoted(field)): \(reason); fix that field, or get the file again"
    case .invalidText(let file, let field):
      return "\(file): \(quoted(field)) is not valid UTF-8; \(again)"
    case .duplicateName(let file, let name):
      return "\(file): \(quoted(name)) occurs twice; convert the model again"
    case .wrongSize(let file, let tensor, let expected, let stored):
      return
        "\(file): tensor \(quoted(tensor)) has \(stored) bytes, but its shape and type need "
        + "\(expected); \(again)"
    case .outOfBounds(let file, let tensor, let end, let limit):
      return "\(file): tensor \(quoted(tensor)) ends at byte \(end) of \(limit); \(again)"
    case .overlap(let file, let tensor, let other):
      return
        "\(file): tensors \(quoted(tensor)) and \(quoted(other)) overlap; convert the model again"
    case .gap(let file, let tensor, let bytes):
      return "\(file): \(bytes) bytes next to tensor \(quoted(tensor)) belong to no tensor; "
        + "convert the model again"
    case .misaligned(let file, let tensor, let offset, let alignment):
      return
        "\(file): tensor \(quoted(tensor)) begins at byte \(offset), not a multiple of \(alignment); "
        + "convert the model again"
    case .unusableEntry(let file, let entry, let reason):
      return
        "\(file): zip entry \(quoted(entry)): \(reason); copy or download the file again, or get "
        + "the model as .safetensors"
    case .malformedPickle(let file, let offset, let reason):
      return "\(file): not a valid pickle at byte \(offset): \(reason); \(again)"
    case .forbiddenPickle(let file, let offset, let what):
      return
        "\(file): its pickle uses \(quoted(what)) at byte \(offset), which weights do not need; the "
        + "file may be malicious. Nothing in it was run. Get the model as .safetensors"
    case .strided(let file, let tensor, let shape, let strides):
      return
        "\(file): tensor \(quoted(tensor)) is a transposed or expanded view, shape \(shape) with "
        + "strides \(strides); make it .contiguous() before torch.save, or save as .safetensors"
    case .unsupportedType(let file, let tensor, let type):
      return
        "\(file): tensor \(quoted(tensor)) is stored as \(quoted(type)), which is not supported; "
        + "convert it to F32, F16, BF16, Q8_0, Q4_K or another supported type"
    case .missingTensor(let file, let tensor):
      return
        "\(file): there is no tensor \(quoted(tensor)), which the configuration's model needs; "
        + "check that configuration and weights belong together, and that no file is missing"
    case .prefixedTensor(let file, let tensor, let stored):
      return
        "\(file): there is no tensor \(quoted(tensor)), but there is \(quoted(stored)): the model "
        + "is part of a larger one; save that part by itself"
    case .wrongShape(let file, let tensor, let shape, let needed):
      return "\(file): tensor \(quoted(tensor)) has shape \(shape), but \(needed) is needed; "
        + "check that configuration and weights belong together"
    case .unsafePath(let file, let field, let path):
      return "\(file): \(quoted(field)) leads out of the model's folder (\(quoted(path))); "
        + "put the file inside the folder and name it there"
    case .notAModel(let path, let reason, let remedy):
      return "\(path.isEmpty ? "''" : path): \(reason); \(remedy)"
    }
  }
}
