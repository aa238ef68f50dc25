import Files
import Weights
public import LinearAlgebra

/// A tensor in memory or in a mapped file: row-major, in its stored type, never copied.
public struct StoredTensor: @unchecked Sendable {
  /// The tensor's name.
  public let name: String
  /// The tensor's shape, row-major: a matrix is (rows, columns).
  public let shape: [Int]
  /// The type of the stored numbers or codes.
  public let elementType: ElementType
  /// The stored bytes, valid as long as `owner` lives. They may begin at any alignment.
  public let bytes: UnsafeRawBufferPointer
  /// The file it comes from, for messages.
  public let file: String
  /// The object that keeps the bytes alive.
  public let owner: AnyObject
  /// How the bytes encode weights; nil if they are the numbers themselves.
  private var layout: CodedLayout?

  /// The number of elements: the product of the sides.
  public var count: Int { shape.reduce(1, *) }

  /// A view of `bytes`, which `owner` keeps alive.
  ///
  /// Precondition: a row consists of whole blocks of the type, and `bytes` holds exactly the rows.
  public init(
    name: String, shape: [Int], elementType: ElementType, bytes: UnsafeRawBufferPointer,
    file: String, owner: AnyObject
  ) {
    precondition(
      shape.isEmpty || shape.contains(0) || shape.last! % elementType.blockLength == 0,
      "rows are not whole blocks")
    precondition(
      elementType.bytes(forCount: shape.reduce(1, *)) == bytes.count, "wrong number of bytes")
    self.init(
      name: name, shape: shape, elementType: elementType, bytes: bytes, file: file, owner: owner,
      layout: nil)
  }

  /// A view of the codes of a matrix (rows, columns) or of a stack of matrices; of plain numbers if `layout` is nil.
  ///
  /// Precondition: `bytes` holds the codes, and the layout has scales for all of them.
  init(
    name: String, shape: [Int], elementType: ElementType, bytes: UnsafeRawBufferPointer,
    file: String, owner: AnyObject, layout: CodedLayout?
  ) {
    self.name = name
    self.shape = shape
    self.elementType = elementType
    self.bytes = bytes
    self.file = file
    self.owner = owner
    self.layout = layout
  }

  /// The tensor as a weight matrix, in its stored type. Throws `FileError.wrongShape` unless it has two dimensions.
  public func matrix() throws(FileError) -> StoredMatrix {
    guard shape.count == 2 else {
      throw .wrongShape(file: file, tensor: name, shape: shape, needed: "a matrix")
    }
    return matrix(0)
      ?? StoredMatrix(
        base: base, elementType: elementType, rows: shape[0], columns: shape[1], owner: owner)
  }

  /// The same codes with the stored tensors that belong to them.
  func with(_ parts: [StoredBytes]) -> StoredTensor {
    var tensor = self
    tensor.layout?.parts = parts
    return tensor
  }

  /// The matrix with this index in a stack of codes; nil if the bytes are plain numbers.
  private func matrix(_ index: Int) -> StoredMatrix? {
    layout.map { $0.matrix(index, of: base, type: elementType, owner: owner) }
  }

  /// The tensor as a weight matrix of this shape. Throws `FileError.wrongShape` if it has another one.
  public func matrix(rows: Int, columns: Int) throws(FileError) -> StoredMatrix {
    guard shape.count == 2, shape[0] == rows, shape[1] == columns else {
      throw .wrongShape(file: file, tensor: name, shape: shape, needed: "[\(rows), \(columns)]")
    }
    return try matrix()
  }

  /// The tensor as a stack (count, rows, columns) of weight matrices: one view for each index of the first dimension.
  /// Throws `FileError.wrongShape` if it has another shape.
  public func matrices(
    count: Int, rows: Int, columns: Int
  ) throws(FileError) -> [StoredMatrix] {
    guard shape == [count, rows, columns] else {
      throw .wrongShape(
        file: file, tensor: name, shape: shape, needed: "[\(count), \(rows), \(columns)]")
    }
    if layout != nil { return (0..<count).compactMap(matrix) }
    let all = StoredMatrix(
      base: base, elementType: elementType, rows: count * rows, columns: columns, owner: owner)
    return (0..<count).map { all.rows($0 * rows..<($0 + 1) * rows) }
  }

  /// The numbers of a norm or bias, widened to `Float`; F64 is rounded. Throws `FileError.wrongShape` unless the tensor has
  /// one dimension, of length `count` if that is given.
  public func vector(count: Int? = nil) throws(FileError) -> [Float] {
    guard shape.count == 1, count == nil || shape[0] == count else {
      let needed = count.map { "[\($0)]" } ?? "a vector"
      throw .wrongShape(file: file, tensor: name, shape: shape, needed: needed)
    }
    return numbers()
  }

  /// All numbers in order, widened to `Float`; F64 is rounded. Costs 4 bytes per number.
  public func numbers() -> [Float] {
    guard layout != nil else {
      return withExtendedLifetime(owner) { elementType.widened(base, count: count) }
    }
    let stack = shape.count > 2 ? shape[0] : 1
    return (0..<stack).compactMap(matrix).flatMap { m in (0..<m.rows).flatMap(m.row) }
  }

  /// The same numbers as a matrix: the first dimension by all others. A convolution's kernel becomes a linear map.
  public var flattened: StoredTensor {
    precondition(!shape.isEmpty, "a scalar has no rows")
    precondition(layout == nil, "codes keep their shape")
    return reshaped([shape[0], shape.dropFirst().reduce(1, *)], bytes)
  }

  /// The same numbers as a matrix: all dimensions but the last by the last. A stack of matrices becomes a list of their rows.
  public var rowByRow: StoredTensor {
    precondition(!shape.isEmpty, "a scalar has no rows")
    return reshaped([shape.dropLast().reduce(1, *), shape[shape.count - 1]], bytes)
  }

  /// The slices of the first dimension in a range: rows of a matrix, or one projection of several fused ones.
  public func rows(_ range: Range<Int>) -> StoredTensor {
    precondition(!shape.isEmpty, "a scalar has no rows")
    precondition(layout == nil, "codes keep their shape")
    precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "rows outside the tensor")
    let rowBytes = shape[0] == 0 ? 0 : bytes.count / shape[0]
    let part = bytes[range.lowerBound * rowBytes..<range.upperBound * rowBytes]
    return reshaped([range.count] + shape.dropFirst(), UnsafeRawBufferPointer(rebasing: part))
  }

  private func reshaped(_ shape: [Int], _ bytes: UnsafeRawBufferPointer) -> StoredTensor {
    StoredTensor(
      name: name, shape: shape, elementType: elementType, bytes: bytes, file: file, owner: owner)
  }

  /// The address of the bytes. An empty tensor may have none; nothing is read from the substitute.
  private var base: UnsafeRawPointer { bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)! }

  /// Tells the system whether the bytes are needed soon. Nothing happens if they are not in a mapped file.
  public func advise(_ advice: MappedFile.Advice) {
    for part in fileParts { part.advise(advice) }
  }

  /// The parts of mapped files that hold the bytes; none if they are in memory.
  public var fileParts: [FilePart] {
    ([(bytes, owner)] + (layout?.parts ?? []).map { ($0.bytes, $0.owner) }).compactMap {
      ($1 as? MappedFile)?.part($0)
    }
  }
}

extension StoredMatrix {
  /// The part of a mapped file that holds the numbers; none if they are in memory. Scales that are stored apart are not
  /// counted.
  public var fileParts: [FilePart] {
    let bytes = UnsafeRawBufferPointer(start: base, count: byteCount)
    return (owner as? MappedFile)?.part(bytes).map { [$0] } ?? []
  }
}

extension MappedFile {
  /// The range of bytes that are in this file; nil if there are none.
  func part(_ part: UnsafeRawBufferPointer) -> FilePart? {
    guard let start = part.baseAddress, part.count > 0 else { return nil }
    let offset = start - bytes.baseAddress!
    return FilePart(self, offset..<offset + part.count)
  }
}
