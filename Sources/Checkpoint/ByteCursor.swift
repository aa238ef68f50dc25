import Files

/// Reads little-endian values one after another from untrusted bytes.
struct ByteCursor {
  let bytes: UnsafeRawBufferPointer
  let file: String
  var position: Int

  init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0, file: String) {
    self.bytes = bytes
    self.position = position
    self.file = file
  }

  var available: Int { bytes.count - position }

  /// The next integer. `field` names it in `FileError.truncated`.
  mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ field: @autoclosure () -> String
  ) throws(FileError) -> T {
    let size = MemoryLayout<T>.size
    try require(UInt64(size), field())
    defer { position += size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
  }

  /// The next `count` bytes.
  mutating func take(
    _ count: UInt64, _ field: @autoclosure () -> String
  ) throws(FileError) -> UnsafeRawBufferPointer {
    try require(count, field())
    defer { position += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)])
  }

  /// The bytes of a string that is stored as its length in 8 bytes, followed by its bytes.
  mutating func text(
    _ field: @autoclosure () -> String
  ) throws(FileError) -> UnsafeRawBufferPointer {
    let length = try integer(UInt64.self, field())
    return try take(length, field())
  }

  /// A string, stored likewise; bytes that are not valid UTF-8 become U+FFFD. Throws `FileError.truncated`.
  mutating func string(_ field: @autoclosure () -> String) throws(FileError) -> String {
    String(decoding: try text(field()), as: UTF8.self)
  }

  /// The number of elements that follow, of at least `size` bytes each. Throws `FileError.implausibleCount` if the file is
  /// too short for them.
  mutating func count(
    elementsOf size: Int, _ field: @autoclosure () -> String
  ) throws(FileError) -> Int {
    let count = try integer(UInt64.self, field())
    let limit = UInt64(available / size)
    guard count <= limit else {
      throw .implausibleCount(file: file, field: field(), count: count, limit: limit)
    }
    return Int(count)
  }

  private func require(
    _ count: UInt64, _ field: @autoclosure () -> String
  ) throws(FileError) {
    guard count <= UInt64(available) else {
      throw .truncated(
        file: file, field: field(), needed: count, available: UInt64(available))
    }
  }
}
