import CUTF8Proc

/// The normalization forms NFD, NFC, NFKD and NFKC of the Unicode Standard, annex 15, as of Unicode 9.
///
/// The tables are libutf8proc's. Its reordering of marks takes quadratic time on a long run of marks, so they are sorted
/// here. Foundation's forms are quadratic too, and do not compose U+AC00 U+11A8.
enum NormalizationForm {
  /// Decomposes, sorts the marks, and composes again if `composing`. O(n) except for sorting runs of marks.
  static func normalize(_ text: [UInt32], composing: Bool, compatibility: Bool) -> [UInt32] {
    // Text whose scalars are all below this one does not change.
    let changing: UInt32 = compatibility ? 0xA0 : composing ? 0x300 : 0xC0
    if text.allSatisfy({ $0 < changing }) { return text }
    var result = decompose(text, compatibility: compatibility)
    orderMarks(&result)
    return composing ? compose(result) : result
  }

  /// Whether the reference, with the tables of Unicode 9, knows a scalar; later ones are neither decomposed nor composed.
  private static func isKnown(_ scalar: UInt32) -> Bool {
    Unicode.Scalar(scalar).map { EarlierUnicode.isAssigned($0, in: 9) } ?? false
  }

  private static func decompose(_ text: [UInt32], compatibility: Bool) -> [UInt32] {
    var options = UTF8PROC_STABLE.rawValue | UTF8PROC_DECOMPOSE.rawValue
    if compatibility { options |= UTF8PROC_COMPAT.rawValue }
    // The longest decomposition, of U+FDFA, has 18 scalars.
    var parts = [Int32](repeating: 0, count: 18)
    var boundary: Int32 = 0
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      guard scalar >= 0xA0, isKnown(scalar) else {
        result.append(scalar)
        continue
      }
      let count = utf8proc_decompose_char(
        Int32(scalar), &parts, parts.count, utf8proc_option_t(rawValue: options), &boundary)
      result += parts.prefix(count).map { UInt32($0) }
    }
    return result
  }

  /// Composes every scalar with the last starter before it, unless something between the two blocks it.
  ///
  /// A pair that only versions after Unicode 9 compose contains a starter of such a version: the text is divided there.
  private static func compose(_ text: [UInt32]) -> [UInt32] {
    var scalars = text.map { Int32($0) }
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    scalars.withUnsafeMutableBufferPointer { scalars in
      func append(_ part: Range<Int>) {
        let start = scalars.baseAddress! + part.lowerBound
        let count = utf8proc_normalize_utf32(
          start, part.count,
          utf8proc_option_t(rawValue: UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue))
        result += UnsafeBufferPointer(start: start, count: count).lazy.map { UInt32($0) }
      }
      var start = 0
      for (i, scalar) in text.enumerated()
      where scalar >= 0x300 && combiningClass(scalar) == 0 && !isKnown(scalar) {
        append(start..<i)
        result.append(scalar)
        start = i + 1
      }
      append(start..<text.count)
    }
    return result
  }

  private static func combiningClass(_ scalar: UInt32) -> UInt8 {
    if scalar < 0x300 { return 0 }
    return Unicode.Scalar(scalar)?.properties.canonicalCombiningClass.rawValue ?? 0
  }

  /// Sorts every run of marks by combining class, stably.
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
}
