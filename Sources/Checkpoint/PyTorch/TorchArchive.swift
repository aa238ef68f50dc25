import Files

/// An archive of torch.save: its pickle, and the tensors that the pickle describes.
struct TorchArchive {
  /// The mapped file.
  let file: MappedFile
  /// The parsed pickle, which is not executed.
  let pickle: Pickle
  private let archive: ZipArchive
  private let folder: String  // of the storages, with a trailing slash

  /// Maps the file at `path` and reads its directory and its pickle, which may contain lists and floats if
  /// `allowsPlainData`.
  ///
  /// Throws `FileError`: `cannotRead`, `notAModel` (the format before 1.6), what `ZipArchive` and `Pickle` throw.
  init(_ path: String, allowsPlainData: Bool = false) throws(FileError) {
    let file = try MappedFile(path)
    guard !file.bytes.dropFirst(2).starts(with: Self.legacyMagic) else {
      throw .notAModel(
        path: path, reason: "in the format of PyTorch before version 1.6",
        remedy: "convert it to safetensors, in Python: from safetensors.torch import save_file; "
          + "save_file(torch.load(\"\(path)\", weights_only=True), \"model.safetensors\")")
    }
    let archive = try ZipArchive(file)
    let pickles = archive.entries.filter { $0.name.utf8.suffix(9).elementsEqual("/data.pkl".utf8) }
    guard let entry = pickles.first, pickles.count == 1 else {
      throw .notThisFormat(
        file: file.path, format: "PyTorch", reason: "it contains \(pickles.count) files data.pkl")
    }
    let folder = entry.name.dropLast("data.pkl".count)
    if let order = archive["\(folder)byteorder"],
      !file.bytes[order.range].elementsEqual("little".utf8)
    {
      throw .notThisFormat(
        file: file.path, format: "PyTorch", reason: "its numbers are not little-endian")
    }
    (self.file, self.archive, self.folder) = (file, archive, "\(folder)data/")
    pickle = try Pickle(
      file, entry.range, globals: Self.globals, allowsPlainData: allowsPlainData)
  }

  /// The magic number of ten bytes that the older format has after the two bytes of the pickle's protocol.
  private static let legacyMagic: [UInt8] = [
    0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
  ]

  private static let rebuildTensor = "torch._utils._rebuild_tensor_v2"
  private static let rebuildParameter = "torch._utils._rebuild_parameter"

  /// The storage classes: the name of the type in safetensors, and the bytes per number.
  private static let storages: [String: (name: String, bytes: Int)] = [
    "torch.DoubleStorage": ("F64", 8), "torch.FloatStorage": ("F32", 4),
    "torch.HalfStorage": ("F16", 2), "torch.BFloat16Storage": ("BF16", 2),
    "torch.LongStorage": ("I64", 8), "torch.IntStorage": ("I32", 4),
    "torch.ShortStorage": ("I16", 2), "torch.CharStorage": ("I8", 1),
    "torch.ByteStorage": ("U8", 1), "torch.BoolStorage": ("BOOL", 1),
  ]

  /// All functions and classes that a dictionary of tensors needs to name.
  private static let globals = Set(storages.keys)
    .union([rebuildTensor, rebuildParameter, "collections.OrderedDict"])

  /// The most dimensions a tensor may have.
  private static let mostDimensions = 64

  /// The tensor of a recorded call `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, which may be
  /// wrapped in `_rebuild_parameter(tensor, requires_grad, hooks)`. Offset and strides count numbers, not bytes.
  func info(_ name: String, _ value: Pickle.Value) throws(FileError) -> TensorInfo {
    let tensor = arguments(value, of: Self.rebuildParameter)?.first ?? value
    guard let arguments = arguments(tensor, of: Self.rebuildTensor), arguments.count >= 6,
      case .persistent(let identity) = arguments[0], case .integer(let offset) = arguments[1],
      let shape = integers(arguments[2]), let strides = integers(arguments[3]),
      offset >= 0, shape.count == strides.count
    else { throw invalid(name, "not a tensor of a supported kind") }
    guard arguments.dropFirst(6).allSatisfy(isEmpty) else {
      throw invalid(name, "a view that is conjugated or negated, which is not supported")
    }
    let storage = try storage(pickle.tuples[identity], of: name)
    guard let count = TensorInfo.count(of: shape) else {
      throw .overflow(file: file.path, field: name)
    }
    let (end, overflow) = offset.addingReportingOverflow(count)
    guard !overflow, end <= storage.count else {
      let bytes = UInt64(overflow ? .max : end).multipliedReportingOverflow(
        by: UInt64(storage.size))
      throw .outOfBounds(
        file: file.path, tensor: name, end: bytes.overflow ? .max : bytes.partialValue,
        limit: UInt64(storage.range.count))
    }
    guard Self.isRowMajor(shape, strides) else {
      throw .strided(file: file.path, tensor: name, shape: shape, strides: strides)
    }
    let begin = storage.range.lowerBound + offset * storage.size
    return TensorInfo(
      name: name, shape: shape, typeName: storage.type,
      elementType: SafetensorsFile.elementTypes[storage.type],
      byteRange: begin..<begin + count * storage.size)
  }

  private struct Storage {
    let type: String
    let size: Int  // bytes of a number
    let count: Int
    let range: Range<Int>
  }

  /// The storage with the identifier `("storage", class, key, device, count)`. Its numbers are the archive's entry
  /// `data/key`.
  private func storage(
    _ identity: [Pickle.Value], of tensor: String
  ) throws(FileError) -> Storage {
    guard identity.count == 5, case .text("storage") = identity[0],
      case .global(let kind) = identity[1], let (type, size) = Self.storages[kind],
      case .text(let key) = identity[2], case .integer(let count) = identity[4], count >= 0
    else { throw invalid(tensor, "its storage is not of a supported kind") }
    guard let entry = archive[folder + key] else {
      throw .missingField(file: file.path, field: folder + key)
    }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow else { throw .overflow(file: file.path, field: tensor) }
    guard bytes == entry.range.count else {
      throw .wrongSize(file: file.path, tensor: tensor, expected: bytes, stored: entry.range.count)
    }
    return Storage(type: type, size: size, count: count, range: entry.range)
  }

  /// Whether the strides are those of row-major order. The stride of a dimension of length 1 does not matter, and neither do
  /// those of an empty tensor.
  private static func isRowMajor(_ shape: [Int], _ strides: [Int]) -> Bool {
    guard !shape.contains(0) else { return true }
    var expected = 1
    for (side, stride) in zip(shape, strides).reversed() where side != 1 {
      guard stride == expected else { return false }
      expected *= side
    }
    return true
  }

  private func arguments(_ value: Pickle.Value, of function: String) -> [Pickle.Value]? {
    guard case .call(let position) = value, pickle.calls[position].function == function else {
      return nil
    }
    return pickle.tuples[pickle.calls[position].arguments]
  }

  private func integers(_ value: Pickle.Value) -> [Int]? {
    guard case .tuple(let position) = value,
      pickle.tuples[position].count <= Self.mostDimensions
    else { return nil }
    var result: [Int] = []
    for case .integer(let value) in pickle.tuples[position] { result.append(value) }
    return result.count == pickle.tuples[position].count ? result : nil
  }

  private func isEmpty(_ value: Pickle.Value) -> Bool {
    switch value {
    case .none: true
    case .dictionary(let position): pickle.dictionaries[position].isEmpty
    default: false
    }
  }

  func invalid(_ field: String, _ reason: String) -> FileError {
    .invalidField(file: file.path, field: field, reason: reason)
  }
}
