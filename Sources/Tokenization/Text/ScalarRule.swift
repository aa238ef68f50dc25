/// A rule that rewrites each scalar independently of its neighbours.
enum ScalarRule: Sendable {
  /// Maps to lower case.
  case lowercase
  /// Drops marks.
  case withoutMarks
  /// Drops nonspacing marks, as BERT does.
  case withoutNonspacingMarks
  /// Drops controls and U+FFFD, and turns white space into spaces, as BERT's cleaning does.
  case clean
  /// Puts spaces around ideographs, by which BERT makes each a word.
  case separateIdeographs
  /// Drops controls and turns unusual spaces into plain ones, as in SentencePiece's NMT rules.
  case nmt

  /// Appends the scalars that replace a scalar.
  func append(_ scalar: Unicode.Scalar, to result: inout [UInt32]) {
    let value = scalar.value
    switch self {
    case .lowercase: result += scalar.properties.lowercaseMapping.unicodeScalars.map(\.value)
    case .withoutMarks:
      if !EarlierUnicode.isMark(scalar) { result.append(value) }
    case .withoutNonspacingMarks:
      if !EarlierUnicode.isNonspacingMark(scalar) { result.append(value) }
    case .clean:
      if ["\t", "\n", "\r"].contains(scalar) {
        result.append(0x20)
      } else if value != 0, value != 0xFFFD, !EarlierUnicode.isControl(scalar) {
        result.append(scalar.properties.isWhitespace ? 0x20 : value)
      }
    case .separateIdeographs:
      if Self.isIdeograph(value) { result += [0x20, value, 0x20] } else { result.append(value) }
    case .nmt:
      switch value {
      case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: break
      case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD:
        result.append(0x20)
      default: result.append(value)
      }
    }
  }

  /// Whether a scalar is in BERT's list of ideograph blocks. One of its blocks begins 0x100 too late, as in the original.
  private static func isIdeograph(_ value: UInt32) -> Bool {
    switch value {
    case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
      0x2B740...0x2B81F, 0x2B920...0x2CEAF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }
}
