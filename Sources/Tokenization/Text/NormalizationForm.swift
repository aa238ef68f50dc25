/// The normalization forms NFD, NFC, NFKD and NFKC of the Unicode Standard, annex 15.
///
/// The standard library compares strings by them without giving them away, and Foundation, which does, would have
/// to be loaded for this alone.
enum NormalizationForm {
  /// Decomposes, orders the marks, and composes again if wanted. O(n) but for the sorting of runs of marks.
  static func normalize(_ text: [UInt32], composing: Bool, compatibility: Bool) -> [UInt32] {
    // Nothing below U+0300 takes part in a composition, or, if nothing is to be decomposed, changes at all.
    let changing: UInt32 = compatibility ? 0xA0 : composing ? 0x300 : 0xC0
    if text.allSatisfy({ $0 < changing }) { return text }
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      if compatibility, scalar >= 0xA0, let whole = compatibilityTable.decomposition[scalar] {
        result += whole
      } else {
        decompose(scalar, into: &result)
      }
    }
    orderMarks(&result)
    return composing ? compose(result) : result
  }

  private static let tables = CanonicalTables(CanonicalTables.decompositions)
  private static let compatibilityTable = CompatibilityTable(CompatibilityTable.decompositions)

  // Hangul syllables are arithmetic: 19 leading consonants, 21 vowels, 27 trailing consonants or none. The Unicode
  // Standard, section 3.12.
  private static let syllables: Range<UInt32> = 0xAC00..<0xAC00 + 19 * 21 * 28
  private static let leading: Range<UInt32> = 0x1100..<0x1113
  private static let vowels: Range<UInt32> = 0x1161..<0x1176
  private static let trailing: Range<UInt32> = 0x11A8..<0x11C3

  private static func decompose(_ scalar: UInt32, into result: inout [UInt32]) {
    if scalar < 0xC0 {
      result.append(scalar)
    } else if syllables.contains(scalar) {
      let index = scalar - syllables.lowerBound
      result.append(leading.lowerBound + index / (21 * 28))
      result.append(vowels.lowerBound + index % (21 * 28) / 28)
      if index % 28 > 0 { result.append(trailing.lowerBound + index % 28 - 1) }
    } else if let (first, second) = tables.decomposition[scalar] {
      // Only the first of the two can be decomposed further; the nesting is as deep as the table, which is at most
      // four.
      decompose(first, into: &result)
      if let second { result.append(second) }
    } else {
      result.append(scalar)
    }
  }

  private static func combiningClass(_ scalar: UInt32) -> UInt8 {
    if scalar < 0x300 { return 0 }
    return Unicode.Scalar(scalar)?.properties.canonicalCombiningClass.rawValue ?? 0
  }

  /// Sorts every run of marks by combining class, those of one class staying in their order.
  private static func orderMarks(_ text: inout [UInt32]) {
    var i = 0
    while i < text.count {
      guard combiningClass(text[i]) > 0 else {
        i += 1
        continue
      }
      var end = i + 1
      while end < text.count, combiningClass(text[end]) > 0 { end += 1 }
      if end - i > 1 {
        let sorted = text[i..<end].enumerated().sorted {
          (combiningClass($0.element), $0.offset) < (combiningClass($1.element), $1.offset)
        }
        text.replaceSubrange(i..<end, with: sorted.map(\.element))
      }
      i = end
    }
  }

  /// Joins every scalar to the last starter before it, unless something between the two blocks it.
  private static func compose(_ text: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in text {
      let mark = combiningClass(scalar)
      if let s = starter, s == result.count - 1 || (lastClass != 0 && lastClass < mark),
        let composite = composite(result[s], scalar)
      {
        result[s] = composite
        continue
      }
      if mark == 0 { starter = result.count }
      lastClass = mark
      result.append(scalar)
    }
    return result
  }

  private static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if leading.contains(first), vowels.contains(second) {
      return syllables.lowerBound
        + ((first - leading.lowerBound) * 21 + second - vowels.lowerBound) * 28
    }
    if syllables.contains(first), (first - syllables.lowerBound) % 28 == 0,
      trailing.contains(second)
    {
      return first + second - trailing.lowerBound + 1
    }
    return tables.composition[UInt64(first) << 32 | UInt64(second)]
  }
}

/// The canonical decompositions of single scalars, both ways.
struct CanonicalTables: Sendable {
  /// A scalar as one or two others.
  private(set) var decomposition: [UInt32: (UInt32, UInt32?)] = [:]
  /// Two scalars, the first in the upper half of the key, as one.
  private(set) var composition: [UInt64: UInt32] = [:]

  /// Reads `scalar=first` or `scalar=first+second`; `scalar~first+second` is not composed again.
  init(_ table: StaticString) {
    forEachEntry(of: table) { numbers, kind in
      let (scalar, first) = (numbers[0], numbers[1])
      let second = numbers.count > 2 ? numbers[2] : nil
      decomposition[scalar] = (first, second)
      if kind == UInt8(ascii: "="), let second {
        composition[UInt64(first) << 32 | UInt64(second)] = scalar
      }
    }
  }
}

/// The compatibility decompositions of single scalars, in full and in order, where they are not canonical.
struct CompatibilityTable: Sendable {
  /// A scalar as others.
  private(set) var decomposition: [UInt32: [UInt32]] = [:]

  /// Reads `scalar=first+second+…`, or `scalar-last-first` for a run of scalars that are those from `first` on.
  init(_ table: StaticString) {
    forEachEntry(of: table) { numbers, kind in
      if kind == UInt8(ascii: "-") {
        for scalar in numbers[0]...numbers[1] {
          decomposition[scalar] = [numbers[2] + scalar - numbers[0]]
        }
      } else {
        decomposition[numbers[0]] = Array(numbers[1...])
      }
    }
  }
}

/// Calls `body` with the hexadecimal numbers of every entry of a table, and with what stands before the second; entries
/// are separated by blanks. What Unicode 9 did not have yet is passed over, as the reference's tables are of that time.
private func forEachEntry(of table: StaticString, _ body: ([UInt32], UInt8) -> Void) {
  func finish(_ numbers: [UInt32], _ kind: UInt8) {
    guard let scalar = Unicode.Scalar(numbers[0]), EarlierUnicode.isAssigned(scalar, in: 9) else {
      return
    }
    body(numbers, kind)
  }
  var numbers: [UInt32] = [0]
  var kind: UInt8 = 0
  table.withUTF8Buffer { bytes in
    for byte in bytes {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "\n"):
        finish(numbers, kind)
        numbers = [0]
      case UInt8(ascii: "+"), UInt8(ascii: "="), UInt8(ascii: "~"), UInt8(ascii: "-"):
        if numbers.count == 1 { kind = byte }
        numbers.append(0)
      default:
        // A hexadecimal digit: '0'…'9' or 'A'…'F'.
        let digit = byte < 0x3A ? byte - 0x30 : byte - 0x37
        numbers[numbers.count - 1] = numbers[numbers.count - 1] << 4 | UInt32(digit)
      }
    }
  }
  finish(numbers, kind)
}
