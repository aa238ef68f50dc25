/// SentencePiece's normalization table: short byte sequences and their replacements.
///
/// This is the file's `precompiled_charsmap`, little-endian: the size of a double array in bytes, the array, and the
/// replacements, each terminated by a zero byte. A unit of the array is a node, with its label in bits 0…7, bit 8 set if a
/// sequence ends there, and the offset to its children in bits 10…30, shifted by 8 more if bit 9 is set; or, with bit 31
/// set, the end of a sequence, with the offset of its replacement. Aoe, "An efficient digital search algorithm by using a
/// double-array structure", 1989; https://github.com/s-yata/darts-clone.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// The length of the longest replacement in scalars.
  var longestReplacement: Int {
    replacements.split(separator: 0)
      .map { String(decoding: $0, as: UTF8.self).unicodeScalars.count }.max() ?? 0
  }

  /// What is wrong with a table.
  struct Malformed: Error, Equatable {
    let reason: String
  }

  /// Parses a table, and checks that every replacement is within it.
  init(_ bytes: [UInt8]) throws(Malformed) {
    func number(at i: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << (8 * UInt32($1)) }
    }
    guard bytes.count >= 4 else { throw Malformed(reason: "it is too short") }
    let size = Int(number(at: 0))
    guard size > 0, size % 4 == 0, size <= bytes.count - 4 else {
      throw Malformed(reason: "its array of \(size) bytes does not fit into \(bytes.count)")
    }
    units = stride(from: 4, to: 4 + size, by: 4).map(number)
    replacements = Array(bytes[(4 + size)...])
    guard String(validating: replacements, as: UTF8.self) != nil else {
      throw Malformed(reason: "its replacements are not valid UTF-8")
    }
    for (i, unit) in units.enumerated() where unit >> 31 == 0 && Self.isEnd(unit) {
      let end = i ^ Self.offset(unit)
      guard end < units.count, Int(units[end] & ~(1 << 31)) < replacements.count else {
        throw Malformed(reason: "its element \(i) points outside the table")
      }
    }
  }

  private static func isEnd(_ unit: UInt32) -> Bool { unit >> 8 & 1 == 1 }

  private static func offset(_ unit: UInt32) -> Int {
    Int(unit >> 10) << Int((unit & 1 << 9) >> 6)
  }

  /// The replacement of the shortest sequence in the table that is a prefix of `text`.
  private func replacement(for text: some Sequence<UInt8>) -> ArraySlice<UInt8>? {
    var node = Self.offset(units[0])
    for byte in text {
      node ^= Int(byte)
      guard byte != 0, node < units.count else { return nil }
      let unit = units[node]
      guard unit & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
      node ^= Self.offset(unit)
      if Self.isEnd(unit) {
        return replacements[Int(units[node] & ~(1 << 31))...].prefix { $0 != 0 }
      }
    }
    return nil
  }

  /// Replaces every character of less than six bytes as a whole if the table allows, else its scalars one by one.
  ///
  /// If the table has only the beginning of a short character, the replacement still replaces the whole character. The
  /// reference does so too, and notes that SentencePiece's own models were found to need it.
  func normalize(_ text: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    func append(_ bytes: ArraySlice<UInt8>) {
      result += String(decoding: bytes, as: UTF8.self).unicodeScalars.map(\.value)
    }
    for character in String(scalarValues: text) {
      if character.utf8.count < 6, let whole = replacement(for: character.utf8) {
        append(whole)
        continue
      }
      for scalar in character.unicodeScalars {
        if let own = replacement(for: UTF8.encode(scalar).unsafelyUnwrapped) {
          append(own)
        } else {
          result.append(scalar.value)
        }
      }
    }
    return result
  }
}
