import Files
import Weights
public import LinearAlgebra

/// A file's checked description of a tensor: its bytes are inside the file, as many as its shape and type need.
public struct TensorInfo: Sendable {
  /// The tensor's name.
  public let name: String
  /// The tensor's shape, row-major: a matrix is (rows, columns), a linear layer (outputs, inputs). GGUF files store it in the
  /// opposite order.
  public let shape: [Int]
  /// The stored type as the file writes it, even if it is not supported: `BF16`, `I64`, `IQ4_XS`, …
  public let typeName: String
  /// The stored type; nil if it is not supported.
  public let elementType: ElementType?
  /// The position of the tensor's bytes in the file. Empty for a GGUF type of unknown size.
  public let byteRange: Range<Int>

  /// The number of elements: the product of the sides.
  public var count: Int { shape.reduce(1, *) }

  /// The product of `shape`; nil if it, or the product of any part of it, overflows.
  static func count(of shape: [Int]) -> Int? {
    // A zero makes the product zero, but other code must be able to multiply the other sides in any order without overflow.
    guard shape.allSatisfy({ $0 >= 0 }) else { return nil }
    var product = 1
    for side in shape where side > 0 {
      let (next, overflow) = product.multipliedReportingOverflow(by: side)
      guard !overflow else { return nil }
      product = next
    }
    return shape.contains(0) ? 0 : product
  }
}

/// Tensors in the order of their file, looked up by the bytes of their names.
struct TensorTable: Sendable {
  let infos: [TensorInfo]
  private let positions: [UTF8Key: Int]

  /// A table of these tensors. Throws `FileError.duplicateName`.
  init(_ infos: [TensorInfo], file: String) throws(FileError) {
    var positions = [UTF8Key: Int](minimumCapacity: infos.count)
    for (i, info) in infos.enumerated() {
      guard positions.updateValue(i, forKey: UTF8Key(info.name)) == nil else {
        throw .duplicateName(file: file, name: info.name)
      }
    }
    self.infos = infos
    self.positions = positions
  }

  func position(of name: String) -> Int? { positions[UTF8Key(name)] }

  /// The bytes of one tensor of `file`. Throws `missingTensor`.
  func storedBytes(_ name: String, in file: MappedFile) throws(FileError) -> StoredBytes {
    guard let position = position(of: name) else {
      throw .missingTensor(file: file.path, tensor: name)
    }
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[infos[position].byteRange])
    return StoredBytes(bytes: bytes, file: file.path, owner: file)
  }

  /// A view of one tensor of `file`. Throws `missingTensor`, `unsupportedType`.
  func tensor(_ name: String, in file: MappedFile) throws(FileError) -> StoredTensor {
    guard let position = position(of: name) else {
      throw .missingTensor(file: file.path, tensor: name)
    }
    let info = infos[position]
    guard let elementType = info.elementType, elementType.blockLength > 0 else {
      throw .unsupportedType(file: file.path, tensor: name, type: info.typeName)
    }
    return StoredTensor(
      name: info.name, shape: info.shape, elementType: elementType,
      bytes: UnsafeRawBufferPointer(rebasing: file.bytes[info.byteRange]), file: file.path,
      owner: file)
  }

  /// Throws `FileError.overlap` if two tensors share bytes, and `gap` if `slack` or more consecutive bytes before a tensor
  /// belong to none. Bytes after the last tensor are a gap too, unless `looseEnd`.
  func checkLayout(
    from start: Int, to end: Int, slack: Int, looseEnd: Bool, file: String
  ) throws(FileError) {
    let ordered = infos.filter { !$0.byteRange.isEmpty }
      .sorted { $0.byteRange.lowerBound < $1.byteRange.lowerBound }
    var covered = start
    var previous: TensorInfo?
    for info in ordered {
      let gap = info.byteRange.lowerBound - covered
      if gap < 0, let previous {
        throw .overlap(file: file, tensor: info.name, other: previous.name)
      }
      guard gap < slack else { throw .gap(file: file, tensor: info.name, bytes: gap) }
      covered = info.byteRange.upperBound
      previous = info
    }
    guard looseEnd || covered == end else {
      throw .gap(file: file, tensor: previous?.name ?? "", bytes: end - covered)
    }
  }
}
