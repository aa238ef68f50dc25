import Files

/// A metadata value of a GGUF file.
public enum GGUFValue: Sendable {
  /// A signed integer, stored in 8 to 64 bits.
  case signed(Int64)
  /// An unsigned integer, stored in 8 to 64 bits.
  case unsigned(UInt64)
  /// A floating-point number, stored in 32 or 64 bits.
  case real(Double)
  /// A Boolean.
  case bool(Bool)
  /// A string.
  case string(String)
  /// An array, which stays in the file until its elements are requested.
  case array(GGUFArray)

  /// The integer, if it is one and fits into an `Int`.
  public var int: Int? {
    switch self {
    case .signed(let value): Int(exactly: value)
    case .unsigned(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number, if it is one; an integer beyond 2⁵³ is rounded.
  public var double: Double? {
    switch self {
    case .signed(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }

  /// The Boolean, if it is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The string, if it is one.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The array, if it is one.
  public var array: GGUFArray? { if case .array(let value) = self { value } else { nil } }
}

/// The types of metadata values, numbered as in the file format.
public enum GGUFValueType: UInt32, Sendable {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array
  case uint64, int64, float64

  /// The size of a value in bytes, or the least size: the length of a string, the type and length of an array.
  var leastBytes: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .uint64, .int64, .float64, .string: 8
    case .array: 12
    }
  }
}

/// A metadata array. It stays in the mapped file, since vocabularies have hundreds of thousands of elements.
///
/// Its extent was checked when the file was opened. Reading checks it again, since files can change.
public struct GGUFArray: Sendable {
  /// The type of every element.
  public let elementType: GGUFValueType
  /// The number of elements.
  public let count: Int
  /// The metadata's key, for messages.
  public let field: String
  private let file: MappedFile
  private let offset: Int  // of the first element

  /// The deepest nesting of arrays that is read; no known file comes close.
  private static let depthLimit = 8

  /// Reads an array's type and count, and advances `cursor` past its elements.
  ///
  /// Throws `FileError`: `truncated`, `implausibleCount`, `invalidField`.
  init(
    _ cursor: inout ByteCursor, in file: MappedFile, field: String, depth: Int = depthLimit
  ) throws(FileError) {
    guard depth > 0 else {
      throw .invalidField(file: cursor.file, field: field, reason: "arrays are nested too deeply")
    }
    elementType = try GGUFValue.type(&cursor, field)
    count = try cursor.count(elementsOf: elementType.leastBytes, field)
    self.field = field
    self.file = file
    offset = cursor.position
    switch elementType {
    case .string: for _ in 0..<count { _ = try cursor.text(field) }
    case .array:
      for _ in 0..<count {
        _ = try GGUFArray(&cursor, in: file, field: field, depth: depth - 1)
      }
    default: cursor.position += count * elementType.leastBytes
    }
  }

  /// Calls `body` with each element in turn.
  public func forEach(
    _ body: (GGUFValue) throws(FileError) -> Void
  ) throws(FileError) {
    defer { withExtendedLifetime(file) {} }  // the cursor holds its address, not the mapping
    var cursor = cursor
    for _ in 0..<count {
      try body(try GGUFValue(&cursor, elementType, in: file, field: field))
    }
    try file.checkIntact()
  }

  /// All elements.
  public func values() throws(FileError) -> [GGUFValue] {
    try mapped { value in value }
  }

  /// The elements, which must be integers. Throws `FileError.invalidField`.
  public func integers() throws(FileError) -> [Int] {
    try mapped { $0.int }
  }

  /// The elements, which must be numbers. Throws `FileError.invalidField`.
  public func reals() throws(FileError) -> [Double] {
    try mapped { $0.double }
  }

  /// The elements, which must be strings. Throws `FileError.invalidField`.
  public func strings() throws(FileError) -> [String] {
    try mapped { $0.string }
  }

  /// Calls `body` with the bytes of each string, which need not be UTF-8 and are valid only during the call. Throws
  /// `FileError.invalidField` if the elements are not strings.
  public func forEachString(
    _ body: (UnsafeRawBufferPointer) throws(FileError) -> Void
  ) throws(FileError) {
    guard elementType == .string else { throw wrongType() }
    defer { withExtendedLifetime(file) {} }
    var cursor = cursor
    for _ in 0..<count { try body(try cursor.text(field)) }
    try file.checkIntact()
  }

  private var cursor: ByteCursor { ByteCursor(file.bytes, at: offset, file: file.path) }

  private func wrongType() -> FileError {
    .invalidField(
      file: file.path, field: field, reason: "it holds elements of another type (\(elementType))")
  }

  private func mapped<T>(
    _ transform: (GGUFValue) -> T?
  ) throws(FileError) -> [T] {
    var result: [T] = []
    result.reserveCapacity(count)
    try forEach { value throws(FileError) in
      guard let element = transform(value) else { throw wrongType() }
      result.append(element)
    }
    return result
  }
}

extension GGUFValue {
  /// Reads the number of a type. Throws `FileError.truncated`, `invalidField`.
  static func type(
    _ cursor: inout ByteCursor, _ field: String
  ) throws(FileError) -> GGUFValueType {
    let number = try cursor.integer(UInt32.self, field)
    guard let type = GGUFValueType(rawValue: number) else {
      throw .invalidField(
        file: cursor.file, field: field, reason: "its type \(number) does not exist")
    }
    return type
  }

  /// Reads a value of this type. Throws `FileError`: `truncated`, `implausibleCount`, `invalidField`.
  init(
    _ cursor: inout ByteCursor, _ type: GGUFValueType, in file: MappedFile, field: String
  ) throws(FileError) {
    switch type {
    case .uint8: self = .unsigned(UInt64(try cursor.integer(UInt8.self, field)))
    case .int8: self = .signed(Int64(try cursor.integer(Int8.self, field)))
    case .uint16: self = .unsigned(UInt64(try cursor.integer(UInt16.self, field)))
    case .int16: self = .signed(Int64(try cursor.integer(Int16.self, field)))
    case .uint32: self = .unsigned(UInt64(try cursor.integer(UInt32.self, field)))
    case .int32: self = .signed(Int64(try cursor.integer(Int32.self, field)))
    case .uint64: self = .unsigned(try cursor.integer(UInt64.self, field))
    case .int64: self = .signed(try cursor.integer(Int64.self, field))
    case .float32:
      self = .real(Double(Float(bitPattern: try cursor.integer(UInt32.self, field))))
    case .float64: self = .real(Double(bitPattern: try cursor.integer(UInt64.self, field)))
    case .bool:
      self = .bool(try cursor.integer(UInt8.self, field) != 0)
    case .string: self = .string(try cursor.string(field))
    case .array: self = .array(try GGUFArray(&cursor, in: file, field: field))
    }
  }
}
