import Files

/// A zip archive whose entries are neither compressed nor encrypted, as torch.save writes it.
///
/// Anything that two readers could interpret differently is refused: entries that overlap or share a name, a header that
/// contradicts the directory, a directory that is not where its record says. Checksums are not compared: that would read
/// every weight, torch.load does not do it either, and torch.save can be told not to compute them
/// (`torch.serialization.set_crc32_options`).
/// Format: PKWARE's APPNOTE.TXT, 4.3 (records), 4.4 (flags), 4.5.3 (zip64).
struct ZipArchive {
  /// A file in the archive.
  struct Entry {
    let name: String
    /// The position of its contents in the file.
    let range: Range<Int>
    fileprivate let header: Int  // where its local header begins
  }

  /// The entries in the order of the directory.
  let entries: [Entry]
  private let positions: [UTF8Key: Int]

  /// The entry of this name; nil if there is none.
  subscript(name: String) -> Entry? { positions[UTF8Key(name)].map { entries[$0] } }

  /// Reads the directory of `file` and the header of every entry.
  ///
  /// Throws `FileError`: `notThisFormat`, `truncated`, `implausibleCount`, `invalidText`, `duplicateName`,
  /// `unusableEntry`.
  init(_ file: MappedFile) throws(FileError) {
    defer { withExtendedLifetime(file) {} }  // the cursors hold its address, not the mapping
    let directory = try Self.directory(of: file)
    var cursor = ByteCursor(
      UnsafeRawBufferPointer(rebasing: file.bytes[..<directory.range.upperBound]),
      at: directory.range.lowerBound, file: file.path)
    var entries: [Entry] = []
    var positions: [UTF8Key: Int] = [:]
    for i in 0..<directory.count {
      let record = try Record(&cursor, i)
      let entry = try record.entry(in: file, before: directory.range.lowerBound)
      guard positions.updateValue(i, forKey: UTF8Key(entry.name)) == nil else {
        throw .duplicateName(file: file.path, name: entry.name)
      }
      entries.append(entry)
    }
    guard cursor.available == 0 else {
      throw Self.invalid(
        file, "its directory holds more than the \(directory.count) entries that its record states")
    }
    let ordered = entries.sorted { $0.header < $1.header }
    for (entry, next) in zip(ordered, ordered.dropFirst()) {
      guard entry.range.upperBound <= next.header else {
        throw .unusableEntry(
          file: file.path, entry: next.name, reason: "it overlaps \(quoted(entry.name))")
      }
    }
    self.entries = entries
    self.positions = positions
  }

  fileprivate static func invalid(_ file: MappedFile, _ reason: String) -> FileError {
    .notThisFormat(file: file.path, format: "zip", reason: reason)
  }

  /// The directory's position and number of entries, according to the record at the end of the file, or to the zip64 record
  /// before it.
  private static func directory(
    of file: MappedFile
  ) throws(FileError) -> (range: Range<Int>, count: Int) {
    let bytes = file.bytes
    func integer<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type) -> T {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    // The record is 22 bytes, followed by a comment that extends to the end of the file.
    let places = stride(
      from: bytes.count - 22, through: max(0, bytes.count - 22 - Int(UInt16.max)), by: -1)
    let end = places.first {
      integer($0, UInt32.self) == 0x0605_4B50
        && Int(integer($0 + 20, UInt16.self)) == bytes.count - 22 - $0
    }
    guard let end else { throw invalid(file, "it does not end with a zip archive's directory") }
    let short =
      [UInt64(integer(end + 10, UInt16.self))]
      + [12, 16].map { UInt64(integer(end + $0, UInt32.self)) }
    guard integer(end + 4, UInt32.self) == 0,
      integer(end + 8, UInt16.self) == integer(end + 10, UInt16.self)
    else { throw invalid(file, "part of a split archive") }

    var (values, limit) = (short, end)  // count, size, offset; where the directory must end
    if end >= 20, integer(end - 20, UInt32.self) == 0x0706_4B50 {
      guard let record = Int(exactly: integer(end - 12, UInt64.self)), record <= end - 20 - 56,
        integer(record, UInt32.self) == 0x0606_4B50,
        integer(record + 4, UInt64.self) == UInt64(end - 20 - record - 12)
      else { throw invalid(file, "its zip64 record is not where it should be") }
      guard integer(record + 16, UInt64.self) == 0,
        integer(record + 24, UInt64.self) == integer(record + 32, UInt64.self)
      else { throw invalid(file, "part of a split archive") }
      values = [32, 40, 48].map { integer(record + $0, UInt64.self) }
      let most = [UInt64(UInt16.max), UInt64(UInt32.max), UInt64(UInt32.max)]
      guard zip(zip(short, values), most).allSatisfy({ $0.0 == $0.1 || $0.0 == $1 }) else {
        throw invalid(file, "its two directory records contradict each other")
      }
      limit = record
    }
    let (stop, overflow) = values[1].addingReportingOverflow(values[2])
    guard !overflow, stop == UInt64(limit) else {
      throw invalid(file, "its directory is not where its record says")
    }
    guard values[0] <= values[1] / Record.leastBytes else {
      throw .implausibleCount(
        file: file.path, field: "number of zip entries", count: values[0],
        limit: values[1] / Record.leastBytes)
    }
    return (Int(values[2])..<limit, Int(values[0]))
  }
}

/// The directory's record of an entry.
private struct Record {
  let name: String
  let flags: UInt16
  let method: UInt16
  let size: UInt64
  let header: UInt64

  /// The size of a record in bytes without name, extra fields and comment.
  static let leastBytes: UInt64 = 46

  init(_ cursor: inout ByteCursor, _ i: Int) throws(FileError) {
    let field = "zip entry \(i)"
    let file = cursor.file
    func failure(_ entry: String, _ reason: String) -> FileError {
      .unusableEntry(file: file, entry: entry, reason: reason)
    }
    guard try cursor.integer(UInt32.self, field) == 0x0201_4B50 else {
      throw failure("number \(i)", "its record has no valid signature")
    }
    _ = try cursor.take(4, field)  // versions
    flags = try cursor.integer(UInt16.self, field)
    method = try cursor.integer(UInt16.self, field)
    _ = try cursor.take(8, field)  // time, date, checksum
    // 32 bits each; all ones if the zip64 field has the value.
    var compressed = UInt64(try cursor.integer(UInt32.self, field))
    var size = UInt64(try cursor.integer(UInt32.self, field))
    let nameLength = try cursor.integer(UInt16.self, field)
    let extraLength = try cursor.integer(UInt16.self, field)
    let commentLength = try cursor.integer(UInt16.self, field)
    _ = try cursor.take(8, field)  // disk, attributes
    var header = UInt64(try cursor.integer(UInt32.self, field))
    let nameBytes = try cursor.take(UInt64(nameLength), field)
    guard let name = String(validating: nameBytes, as: UTF8.self) else {
      throw .invalidText(file: file, field: "name of \(field)")
    }
    var extra = ByteCursor(try cursor.take(UInt64(extraLength), field), file: file)
    _ = try cursor.take(UInt64(commentLength), field)

    while extra.available >= 4 {
      let kind = try extra.integer(UInt16.self, field)
      let length = try extra.integer(UInt16.self, field)
      var values = ByteCursor(try extra.take(UInt64(length), field), file: file)
      guard kind == 1 else { continue }
      if size == UInt32.max { size = try values.integer(UInt64.self, field) }
      if compressed == UInt32.max { compressed = try values.integer(UInt64.self, field) }
      if header == UInt32.max { header = try values.integer(UInt64.self, field) }
      break
    }
    self.name = name
    self.size = size
    self.header = header
    guard flags & 0x2041 == 0 else { throw failure(name, "it is encrypted") }
    guard method == 0, compressed == size else {
      throw failure(name, "it is compressed")
    }
  }

  /// The entry. Its local header and contents must end at or before `limit`.
  func entry(
    in file: MappedFile, before limit: Int
  ) throws(FileError) -> ZipArchive.Entry {
    func failure(_ reason: String) -> FileError {
      .unusableEntry(file: file.path, entry: name, reason: reason)
    }
    guard let start = Int(exactly: header), start <= limit else {
      throw failure("it begins at byte \(header), beyond the directory at byte \(limit)")
    }
    var cursor = ByteCursor(
      UnsafeRawBufferPointer(rebasing: file.bytes[..<limit]), at: start, file: file.path)
    guard try cursor.integer(UInt32.self, name) == 0x0403_4B50 else {
      throw failure("its header has no valid signature")
    }
    _ = try cursor.take(2, name)  // version
    let flags = try cursor.integer(UInt16.self, name)
    let method = try cursor.integer(UInt16.self, name)
    _ = try cursor.take(8, name)  // time, date, checksum
    let sizes = [
      try cursor.integer(UInt32.self, name), try cursor.integer(UInt32.self, name),
    ]
    let nameLength = try cursor.integer(UInt16.self, name)
    let extraLength = try cursor.integer(UInt16.self, name)
    let sameName = try cursor.take(UInt64(nameLength), name).elementsEqual(name.utf8)
    _ = try cursor.take(UInt64(extraLength), name)
    // With flag bit 3 the sizes follow the contents and are 0 here; all ones mean that a zip64 field has them.
    let sameSizes =
      flags & 8 != 0 || sizes.allSatisfy { $0 == UInt32.max || UInt64($0) == size }
    guard flags == self.flags, method == self.method, sameName, sameSizes else {
      throw failure("its header contradicts the directory")
    }
    guard size <= UInt64(cursor.available) else {
      throw failure("its \(size) bytes are more than the \(cursor.available) before the directory")
    }
    return ZipArchive.Entry(
      name: name, range: cursor.position..<cursor.position + Int(size), header: start)
  }
}
