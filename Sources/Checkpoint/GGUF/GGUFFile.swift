import Files
import Weights
import LinearAlgebra

/// A GGUF file, version 2 or 3, little-endian: typed metadata, then tensors at offsets that are multiples of
/// `general.alignment`.
///
/// Everything is checked when the file is opened: every count against the remaining bytes, every tensor's offset and size,
/// and that gaps between tensors are shorter than the alignment.
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
public final class GGUFFile: MappedTensors {
  /// The mapped file.
  public let file: MappedFile
  /// The format's version, 2 or 3.
  public let version: Int
  /// Keys and values in the order of the file; no key occurs twice.
  public let metadata: [(key: String, value: GGUFValue)]
  private let keys: [UTF8Key: Int]
  let table: TensorTable

  /// The bytes that every GGUF file begins with.
  static let magic: [UInt8] = Array("GGUF".utf8)

  /// Maps the file at `path` and reads everything but the tensors' bytes and the elements of arrays.
  ///
  /// As in llama.cpp, names and strings need not be UTF-8. Throws `FileError`: `cannotRead`, `notThisFormat`,
  /// `unsupportedVersion`, `truncated`, `implausibleCount`, `invalidField`, `duplicateName`, `overflow`, `misaligned`,
  /// `outOfBounds`, `overlap`, `gap`.
  public init(_ path: String) throws(FileError) {
    let file = try MappedFile(path)
    defer { withExtendedLifetime(file) {} }  // the cursor holds its address, not the mapping
    var cursor = ByteCursor(file.bytes, file: path)
    guard cursor.available >= 4, try cursor.take(4, "magic").elementsEqual(Self.magic) else {
      throw .notThisFormat(file: path, format: "GGUF", reason: "it does not begin with 'GGUF'")
    }
    let version = try cursor.integer(UInt32.self, "version")
    guard version & 0xFFFF != 0 else {
      throw .notThisFormat(
        file: path, format: "GGUF", reason: "it is big-endian")
    }
    guard version == 2 || version == 3 else {
      throw .unsupportedVersion(file: path, format: "GGUF", version: Int(version))
    }
    // A tensor's entry has at least a name's length, a number of dimensions, a type and an offset; a metadata entry at least
    // a key's length, a type and one byte.
    let tensorCount = try cursor.count(elementsOf: 24, "tensor count")
    let metadataCount = try cursor.count(elementsOf: 13, "metadata count")

    var metadata: [(key: String, value: GGUFValue)] = []
    var keys: [UTF8Key: Int] = [:]
    for i in 0..<metadataCount {
      let key = try cursor.string("key of metadata \(i)")
      guard keys.updateValue(i, forKey: UTF8Key(key)) == nil else {
        throw .duplicateName(file: path, name: key)
      }
      let type = try GGUFValue.type(&cursor, key)
      metadata.append((key, try GGUFValue(&cursor, type, in: file, field: key)))
    }
    let alignment = try Self.alignment(keys[UTF8Key(alignmentKey)].map { metadata[$0].value }, path)

    var entries: [Entry] = []
    for i in 0..<tensorCount { entries.append(try Entry(&cursor, i)) }
    // The tensors begin at the next multiple of the alignment. A file without tensors may end before it.
    let padding = (alignment - cursor.position % alignment) % alignment
    let dataStart = min(cursor.position + padding, file.count)
    var infos: [TensorInfo] = []
    for entry in entries {
      infos.append(try entry.info(data: dataStart..<file.count, alignment: alignment, path))
    }
    table = try TensorTable(infos, file: path)
    // If the size of a type is not known, what looks like a gap may be a tensor of that type.
    let allKnown = entries.allSatisfy { GGMLType.all[$0.type] != nil }
    try table.checkLayout(
      from: dataStart, to: file.count, slack: allKnown ? alignment : .max, looseEnd: true,
      file: path)
    try file.checkIntact()
    self.file = file
    self.version = Int(version)
    self.metadata = metadata
    self.keys = keys
  }

  private static func alignment(
    _ value: GGUFValue?, _ path: String
  ) throws(FileError) -> Int {
    guard let value else { return 32 }
    guard let alignment = value.int, alignment > 0, alignment & (alignment - 1) == 0,
      alignment <= 1 << 30
    else {
      throw .invalidField(file: path, field: alignmentKey, reason: "not a power of two up to 2³⁰")
    }
    return alignment
  }

  /// The value of a metadata key; nil if there is none.
  public subscript(key: String) -> GGUFValue? { keys[UTF8Key(key)].map { metadata[$0].value } }

  // MARK: Required metadata

  /// The integer under `key`. Throws `FileError.missingField`, `invalidField`.
  public func int(_ key: String) throws(FileError) -> Int {
    try required(key, "not an integer", \.int)
  }

  /// The number under `key`. Throws `FileError.missingField`, `invalidField`.
  public func double(_ key: String) throws(FileError) -> Double {
    try required(key, "not a number", \.double)
  }

  /// The Boolean under `key`. Throws `FileError.missingField`, `invalidField`.
  public func bool(_ key: String) throws(FileError) -> Bool {
    try required(key, "not a Boolean", \.bool)
  }

  /// The string under `key`. Throws `FileError.missingField`, `invalidField`.
  public func string(_ key: String) throws(FileError) -> String {
    try required(key, "not a string", \.string)
  }

  /// The array under `key`. Throws `FileError.missingField`, `invalidField`.
  public func array(_ key: String) throws(FileError) -> GGUFArray {
    try required(key, "not an array", \.array)
  }

  private func required<T>(
    _ key: String, _ otherwise: String, _ part: (GGUFValue) -> T?
  ) throws(FileError) -> T {
    guard let value = self[key] else { throw .missingField(file: file.path, field: key) }
    guard let result = part(value) else {
      throw .invalidField(file: file.path, field: key, reason: otherwise)
    }
    return result
  }
}

private let alignmentKey = "general.alignment"

/// A tensor's entry in the file.
private struct Entry {
  let name: String
  let shape: [Int]  // row-major: the file's dimensions reversed
  let type: UInt32
  let offset: UInt64  // from the beginning of the tensors' bytes

  /// The most dimensions a tensor may have: GGML_MAX_DIMS of ggml.h.
  private static let mostDimensions = 4

  init(_ cursor: inout ByteCursor, _ i: Int) throws(FileError) {
    let name = try cursor.string("name of tensor \(i)")
    let dimensions = try cursor.integer(UInt32.self, name)
    guard dimensions <= Self.mostDimensions else {
      throw .implausibleCount(
        file: cursor.file, field: "number of dimensions of \(name)", count: UInt64(dimensions),
        limit: UInt64(Self.mostDimensions))
    }
    var shape: [Int] = []
    for _ in 0..<dimensions {
      guard let side = Int(exactly: try cursor.integer(UInt64.self, name)) else {
        throw .overflow(file: cursor.file, field: name)
      }
      shape.insert(side, at: 0)
    }
    self.name = name
    self.shape = shape
    type = try cursor.integer(UInt32.self, name)
    offset = try cursor.integer(UInt64.self, name)
  }

  func info(
    data: Range<Int>, alignment: Int, _ path: String
  ) throws(FileError) -> TensorInfo {
    guard let count = TensorInfo.count(of: shape) else { throw .overflow(file: path, field: name) }
    guard offset % UInt64(alignment) == 0 else {
      throw .misaligned(file: path, tensor: name, offset: offset, alignment: alignment)
    }
    let known = GGMLType.all[type]
    var size = 0
    if let known {
      let row = shape.last ?? 1
      guard row % known.blockLength == 0 else {
        throw .invalidField(
          file: path, field: name,
          reason: "a row of \(row) is not a multiple of the block of \(known.name), "
            + "\(known.blockLength)")
      }
      let (bytes, overflow) = (count / known.blockLength)
        .multipliedReportingOverflow(by: known.blockBytes)
      guard !overflow else { throw .overflow(file: path, field: name) }
      size = bytes
    }
    let (begin, overflow) = offset.addingReportingOverflow(UInt64(data.lowerBound))
    let (end, overflow2) = begin.addingReportingOverflow(UInt64(size))
    guard !overflow, !overflow2, end <= UInt64(data.upperBound) else {
      throw .outOfBounds(
        file: path, tensor: name, end: overflow || overflow2 ? .max : end,
        limit: UInt64(data.upperBound))
    }
    return TensorInfo(
      name: name, shape: shape, typeName: known?.name ?? "type \(type)",
      elementType: known == nil ? nil : Int32(exactly: type).flatMap(ElementType.init(rawValue:)),
      byteRange: Int(begin)..<Int(end))
  }
}
