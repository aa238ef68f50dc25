/// Finds the positions of an object's members and of an array's elements in a JSON text, without parsing them.
///
/// Only brackets and quotes are matched; the values found must still be parsed.
struct JSONScanner {
  /// The text.
  let bytes: UnsafeRawBufferPointer
  /// Called now and then with the position before which this scan will read nothing more.
  let passed: (Int) -> Void

  /// The number of bytes between two calls of `passed`.
  private static let stride = 1 << 20

  /// The error of a text that ends early or is not JSON, with the position.
  struct Malformed: Error { let position: Int }

  /// The members of the object that begins at the start of `range`, each with its key as written between the quotes and the
  /// position of its value; nil if there is no object.
  func members(
    of range: Range<Int>
  ) throws(Malformed) -> [(key: Range<Int>, value: Range<Int>)]? {
    var i = skipSpace(range.lowerBound, range)
    guard i < range.upperBound, bytes[i] == UInt8(ascii: "{") else { return nil }
    var members: [(key: Range<Int>, value: Range<Int>)] = []
    i = skipSpace(i + 1, range)
    if try byte(i, range) == UInt8(ascii: "}") { return [] }
    while true {
      guard try byte(i, range) == UInt8(ascii: "\"") else { throw Malformed(position: i) }
      let end = try value(at: i, range)
      let colon = skipSpace(end, range)
      guard try byte(colon, range) == UInt8(ascii: ":") else { throw Malformed(position: colon) }
      let start = skipSpace(colon + 1, range)
      let next = try value(at: start, range)
      members.append((i + 1..<end - 1, start..<next))
      i = skipSpace(next, range)
      switch try byte(i, range) {
      case UInt8(ascii: ","): i = skipSpace(i + 1, range)
      case UInt8(ascii: "}"): return members
      default: throw Malformed(position: i)
      }
    }
  }

  /// The elements of the array that begins at the start of `range`; nil if there is none.
  func elements(of range: Range<Int>) throws(Malformed) -> [Range<Int>]? {
    var i = skipSpace(range.lowerBound, range)
    guard i < range.upperBound, bytes[i] == UInt8(ascii: "[") else { return nil }
    var elements: [Range<Int>] = []
    i = skipSpace(i + 1, range)
    if try byte(i, range) == UInt8(ascii: "]") { return [] }
    while true {
      let next = try value(at: i, range)
      elements.append(i..<next)
      i = skipSpace(next, range)
      switch try byte(i, range) {
      case UInt8(ascii: ","): i = skipSpace(i + 1, range)
      case UInt8(ascii: "]"): return elements
      default: throw Malformed(position: i)
      }
    }
  }

  /// The end of the value that begins at `start`.
  private func value(at start: Int, _ range: Range<Int>) throws(Malformed) -> Int {
    var (i, depth) = (start, 0)
    while true {
      switch try byte(i, range) {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        // The end of the container of a number or a word.
        if depth == 0 { return try nonempty(start, i) }
        depth -= 1
        if depth == 0 { return i + 1 }
      case UInt8(ascii: "\""):
        i += 1
        while try byte(i, range) != UInt8(ascii: "\"") {
          i += bytes[i] == UInt8(ascii: "\\") ? 2 : 1
        }
        if depth == 0 { return i + 1 }
      case UInt8(ascii: ","), UInt8(ascii: ":"), 0x09, 0x0A, 0x0D, 0x20:
        if depth == 0 { return try nonempty(start, i) }
      default: break
      }
      i += 1
      if depth > 0 { i = skipNumbers(i, range) }
      if i & (Self.stride - 1) == 0 { passed(i) }
    }
  }

  /// Skips bytes without brackets and quotes, most of a table, eight at a time; stops at the multiples of `stride`.
  private func skipNumbers(_ start: Int, _ range: Range<Int>) -> Int {
    var i = start
    while i + 8 <= range.upperBound, i & (Self.stride - 1) <= Self.stride - 8 {
      let piece = bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self)
      // The two kinds of brackets differ in one bit.
      let folded = piece | Self.each(0x20)
      let found =
        Self.zeros(folded ^ Self.each(0x7B)) | Self.zeros(folded ^ Self.each(0x7D))
        | Self.zeros(piece ^ Self.each(0x22))
      guard found == 0 else { return i }
      i += 8
    }
    return i
  }

  /// Eight copies of a byte.
  private static func each(_ byte: UInt64) -> UInt64 { byte &* 0x0101_0101_0101_0101 }

  /// Not 0 if and only if one of the eight bytes is 0: only then does subtracting 1 from each set a highest bit that was not set.
  private static func zeros(_ bytes: UInt64) -> UInt64 {
    (bytes &- each(1)) & ~bytes & each(0x80)
  }

  private func nonempty(_ start: Int, _ end: Int) throws(Malformed) -> Int {
    guard end > start else { throw Malformed(position: start) }
    return end
  }

  private func byte(_ i: Int, _ range: Range<Int>) throws(Malformed) -> UInt8 {
    guard i < range.upperBound else { throw Malformed(position: i) }
    return bytes[i]
  }

  private func skipSpace(_ start: Int, _ range: Range<Int>) -> Int {
    var i = start
    while i < range.upperBound, bytes[i] == 0x20 || (bytes[i] >= 0x09 && bytes[i] <= 0x0D) {
      i += 1
    }
    return i
  }
}
