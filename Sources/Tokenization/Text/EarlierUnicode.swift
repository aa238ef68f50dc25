/// General categories and assignments of the reference, whose tables are those of Unicode 8 and 9.
///
/// Later versions add scalars and rarely change the category of one. So the current categories are used for scalars that were
/// assigned then, with exceptions for the few that changed.
enum EarlierUnicode {
  /// Whether a scalar was assigned in that version of Unicode.
  static func isAssigned(_ scalar: Unicode.Scalar, in version: Int) -> Bool {
    scalar.properties.age.map { ($0.major, $0.minor) <= (version, 0) } ?? false
  }

  /// Whether a scalar is in category P of Unicode 8, or an ASCII character other than a letter, digit, space or control.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
    case 0x166D, 0x111C9: return true
    default: break
    }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      return isAssigned(scalar, in: 8)
    default: return false
    }
  }

  /// Whether a scalar is in category Mn of Unicode 8.
  static func isNonspacingMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1734, 0x1171E: true
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
    default:
      scalar.properties.generalCategory == .nonspacingMark && isAssigned(scalar, in: 8)
    }
  }

  /// Whether a scalar is in category M of Unicode 9.
  static func isMark(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1CF2, 0x1CF3: return true
    case 0x111C9: return false
    default: break
    }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark: return isAssigned(scalar, in: 9)
    default: return false
    }
  }

  /// Whether a scalar is in category Cc, Cf or Co of Unicode 8.
  static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .privateUse: isAssigned(scalar, in: 8)
    default: false
    }
  }
}
