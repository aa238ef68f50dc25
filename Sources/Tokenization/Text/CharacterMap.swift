/// The table by which SentencePiece normalizes: short byte sequences and what replaces them.
///
/// The file's `precompiled_charsmap`: the size of a double array in bytes (little-endian, as all of it), the array, and
/// the replacements, each ended by a zero byte. A unit of the array is a node: its label in bits 0…7, bit 8 if a
/// sequence ends there, and the offset to its children in bits 10…30, shifted by 8 more if bit 9 is set; or, with bit 31,
/// the end of a sequence: where its replacement begins. Aoe, "An efficient digital search algorithm by using a
/// double-array structure", 1989; https://github.com/s-yata/darts-clone.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// Scalars of the longest replacement.
  var longestReplacement: Int {
    replacements.split(separator: 0)
      .map { String(decoding: $0, as: UTF8.self).unicodeScalars.count }.max() ?? 0
  }

  /// What is wrong with a table.
  struct Malformed: Error, Equatable {
    let reason: String
  }

  /// Reads a table; every end of a sequence is known to lie within it afterwards.
  init(_ bytes: [UInt8]) throws(Malformed) {
    func number(at i: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << (8 * UInt32($1)) }
    }
    guard bytes.count >= 4 else { throw Malformed(reason: "it has no size") }
    let size = Int(number(at: 0))
    guard size > 0, size % 4 == 0, size <= bytes.count - 4 else {
      throw Malformed(reason: "its array of \(size) bytes does not fit into \(bytes.count)")
    }
    units = stride(from: 4, to: 4 + size, by: 4).map(number)
    replacements = Array(bytes[(4 + size)...])
    guard String(validating: replacements, as: UTF8.self) != nil else {
      throw Malformed(reason: "its replacements are no UTF-8")
    }
    for (i, unit) in units.enumerated() where unit >> 31 == 0 && Self.isEnd(unit) {
      let end = i ^ Self.offset(unit)
      guard end < units.count, Int(units[end] & ~(1 << 31)) < replacements.count else {
        throw Malformed(reason: "its element \(i) points outside of it")
      }
    }
  }

  private static func isEnd(_ unit: UInt32) -> Bool { unit >> 8 & 1 == 1 }

  private static func offset(_ unit: UInt32) -> Int {
    Int(unit >> 10) << Int((unit & 1 << 9) >> 6)
  }

  /// What replaces the shortest sequence in the table that a text begins with.
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

  /// Replaces, where the table has it, every character of less than six bytes as a whole, else its scalars one by one.
  ///
  /// A replacement of the beginning of a short character takes all of its place. That is what the reference does, and
  /// what it says SentencePiece's own models were found to need.
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
