import Files

/// Writes a zip archive of uncompressed entries with checksums, as torch.save does and `ZipArchive` reads.
///
/// An entry's size and checksum follow its contents, so that no entry has to be in memory as a whole. Sizes and offsets
/// beyond 4 GiB are in zip64 fields. Format: PKWARE's APPNOTE.TXT, 4.3, 4.5.3.
final class ZipWriter {
  private let file: AtomicFile
  private var directory: [UInt8] = []
  private var entries = 0

  /// Flag bits: sizes and checksum follow the contents, and names are UTF-8.
  private static let flags: UInt16 = 0x0808

  /// Creates the archive. Throws `FileError.cannotWrite`.
  init(_ path: String) throws(FileError) { file = try AtomicFile(path) }

  /// Adds an entry of `size` bytes, which `contents` appends in pieces. Precondition: names differ, and the pieces are
  /// `size` bytes in total. Throws `FileError.cannotWrite` and what `contents` throws.
  func add(
    _ name: String, size: Int,
    contents: (_ append: (UnsafeRawBufferPointer) throws(FileError) -> Void) throws(FileError)
      -> Void
  ) throws(FileError) {
    let start = file.count
    let isLarge = size > Int(UInt32.max) - 1
    var header: [UInt8] = []
    header.put(UInt32(0x0403_4B50))
    header.put(UInt16(45))  // version 4.5, which introduced zip64
    header.put(Self.flags)
    header.put([UInt8](repeating: 0, count: 6))  // stored; no time or date
    header.put([UInt8](repeating: 0, count: 4))  // the checksum follows
    // A zip64 field here tells readers that the sizes after the contents take eight bytes each.
    header.put(isLarge ? UInt32.max : 0)
    header.put(isLarge ? UInt32.max : 0)
    header.put(UInt16(name.utf8.count))
    header.put(UInt16(isLarge ? 20 : 0))
    header.put(Array(name.utf8))
    if isLarge { header.putZip64([0, 0]) }
    try file.append(header)

    var checksum = Checksum()
    let begin = file.count
    try contents { (bytes) throws(FileError) in
      checksum.combine(bytes)
      try file.append(bytes)
    }
    precondition(file.count - begin == size, "\(name): contents of another size")

    var descriptor: [UInt8] = []
    descriptor.put(UInt32(0x0807_4B50))
    descriptor.put(checksum.value)
    for _ in 0..<2 {
      if isLarge { descriptor.put(UInt64(size)) } else { descriptor.put(UInt32(size)) }
    }
    try file.append(descriptor)
    record(name, size: size, checksum.value, start: start)
  }

  /// Adds an entry of these bytes.
  func add(_ name: String, _ bytes: [UInt8]) throws(FileError) {
    try add(name, size: bytes.count) { (append) throws(FileError) in
      var failure: FileError?
      bytes.withUnsafeBytes { bytes in
        do throws(FileError) { try append(bytes) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  /// Adds the record of an entry to the directory.
  private func record(_ name: String, size: Int, _ checksum: UInt32, start: Int) {
    let most = Int(UInt32.max) - 1
    var extra: [UInt64] = []
    if size > most { extra += [UInt64(size), UInt64(size)] }
    if start > most { extra.append(UInt64(start)) }
    directory.put(UInt32(0x0201_4B50))
    directory.put(UInt16(45))
    directory.put(UInt16(45))
    directory.put(Self.flags)
    directory.put([UInt8](repeating: 0, count: 6))
    directory.put(checksum)
    directory.put(UInt32(clamping: size > most ? .max : size))
    directory.put(UInt32(clamping: size > most ? .max : size))
    directory.put(UInt16(name.utf8.count))
    directory.put(UInt16(extra.isEmpty ? 0 : 4 + 8 * extra.count))
    directory.put([UInt8](repeating: 0, count: 10))  // no comment, one disk, no attributes
    directory.put(UInt32(clamping: start > most ? .max : start))
    directory.put(Array(name.utf8))
    if !extra.isEmpty { directory.putZip64(extra) }
    entries += 1
  }

  /// Writes the directory and gives the file its name. Throws `FileError.cannotWrite`.
  func finish() throws(FileError) {
    let (start, size) = (UInt64(file.count), UInt64(directory.count))
    try file.append(directory)
    var end: [UInt8] = []
    if start > UInt32.max - 1 || entries > UInt16.max - 1 {
      end.put(UInt32(0x0606_4B50))
      end.put(UInt64(44))
      end.put(UInt16(45))
      end.put(UInt16(45))
      end.put(UInt64(0))  // one disk
      end.put(UInt64(entries))
      end.put(UInt64(entries))
      end.put(size)
      end.put(start)
      end.put(UInt32(0x0706_4B50))
      end.put(UInt32(0))
      end.put(start + size)
      end.put(UInt32(1))
    }
    end.put(UInt32(0x0605_4B50))
    end.put(UInt32(0))
    end.put(UInt16(clamping: entries))
    end.put(UInt16(clamping: entries))
    end.put(UInt32(clamping: size))
    end.put(UInt32(clamping: start))
    end.put(UInt16(0))
    try file.append(end)
    try file.finish()
  }
}

/// The CRC-32 of zip archives, with the reversed polynomial 0xEDB88320.
private struct Checksum {
  private var state = UInt32.max

  var value: UInt32 { ~state }

  mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes {
      state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8
    }
  }

  private static let table: [UInt32] = (0..<256).map { (i: UInt32) in
    (0..<8).reduce(i) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xEDB8_8320 }
  }
}

extension [UInt8] {
  fileprivate mutating func put(_ bytes: [UInt8]) { self += bytes }

  /// Appends a zip64 field with these numbers.
  fileprivate mutating func putZip64(_ numbers: [UInt64]) {
    put(UInt16(1))
    put(UInt16(8 * numbers.count))
    for number in numbers { put(number) }
  }

  /// Appends a number in little-endian order.
  mutating func put(_ number: some FixedWidthInteger & BitwiseCopyable) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }
}
