/// The properties of a scalar that patterns can test: a bit for its general category, one of two bits for being white space
/// or not, and one bit each for two sets that are not unions of categories.
///
/// They are computed once per scalar of a text, so that testing the traits of a class is a single `and`.
struct ScalarTraits: OptionSet, Sendable {
  let rawValue: UInt64

  /// The names of the general categories, for bits 0…29: the two letters in table 4-4 of the Unicode Standard.
  private static let categoryNames = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]
  /// The property White_Space.
  static let space = ScalarTraits(rawValue: 1 << 30)
  /// The absence of the property White_Space.
  static let nonSpace = ScalarTraits(rawValue: 1 << 31)
  /// `\w` of Unicode Technical Standard 18, annex C.
  static let word = ScalarTraits(rawValue: 1 << 32)
  /// Punctuation by Unicode 8, and every ASCII character other than a letter, digit, space or control.
  static let punctuation = ScalarTraits(rawValue: 1 << 33)

  /// All general categories.
  static let categories = ScalarTraits(rawValue: 1 << 30 - 1)
  /// Category N, as in `\p{N}`.
  static let numbers = ScalarTraits(rawValue: 0b111 << 8)

  /// The categories with a name as in `\p{…}`: `Lu` is one category, `L` is all that begin with L. nil for unknown names.
  static func categories(named name: String) -> ScalarTraits? {
    var result: ScalarTraits = []
    for (bit, category) in categoryNames.enumerated()
    where category.utf8.elementsEqual(name.utf8) || category.utf8.prefix(1).elementsEqual(name.utf8)
    {
      result.insert(ScalarTraits(rawValue: 1 << bit))
    }
    return result.isEmpty ? nil : result
  }

  private static let ascii: [ScalarTraits] = (0..<128).map { ScalarTraits(lookingUp: $0) }

  init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The traits of a scalar value.
  init(of scalar: UInt32) {
    self = scalar < 128 ? Self.ascii[Int(scalar)] : Self(lookingUp: scalar)
  }

  private init(lookingUp value: UInt32) {
    guard let scalar = Unicode.Scalar(value) else {
      self = .nonSpace
      return
    }
    let properties = scalar.properties
    let category: UInt64 =
      switch properties.generalCategory {
      case .uppercaseLetter: 0
      case .lowercaseLetter: 1
      case .titlecaseLetter: 2
      case .modifierLetter: 3
      case .otherLetter: 4
      case .nonspacingMark: 5
      case .spacingMark: 6
      case .enclosingMark: 7
      case .decimalNumber: 8
      case .letterNumber: 9
      case .otherNumber: 10
      case .connectorPunctuation: 11
      case .dashPunctuation: 12
      case .openPunctuation: 13
      case .closePunctuation: 14
      case .initialPunctuation: 15
      case .finalPunctuation: 16
      case .otherPunctuation: 17
      case .mathSymbol: 18
      case .currencySymbol: 19
      case .modifierSymbol: 20
      case .otherSymbol: 21
      case .spaceSeparator: 22
      case .lineSeparator: 23
      case .paragraphSeparator: 24
      case .control: 25
      case .format: 26
      case .surrogate: 27
      case .privateUse: 28
      case .unassigned: 29
      @unknown default: 29
      }
    var traits: ScalarTraits = [
      ScalarTraits(rawValue: 1 << category), properties.isWhitespace ? .space : .nonSpace,
    ]
    if properties.isAlphabetic || properties.isJoinControl || [5, 6, 7, 8, 11].contains(category) {
      traits.insert(.word)
    }
    if EarlierUnicode.isPunctuation(scalar) { traits.insert(.punctuation) }
    self = traits
  }
}

/// A set of scalars in a pattern: a union of traits and ranges, or its complement.
struct ScalarClass: Sendable, Equatable {
  /// Scalars with any of these traits are in the union.
  var traits: ScalarTraits = []
  /// Scalars in any of these ranges are in the union.
  var ranges: [ClosedRange<UInt32>] = []
  /// Whether the set is the complement of the union.
  var isNegated = false

  /// Whether a scalar, whose traits are given, is in the set.
  func contains(_ scalar: UInt32, traits own: ScalarTraits) -> Bool {
    (!traits.isDisjoint(with: own) || ranges.contains { $0.contains(scalar) }) != isNegated
  }

  /// Whether a scalar is in the set.
  func contains(_ scalar: UInt32) -> Bool { contains(scalar, traits: ScalarTraits(of: scalar)) }
}
