/// Rewrites text before it is split.
indirect enum Normalizer: Sendable {
  /// Applies canonical or compatibility decomposition, followed by composition if `composes`: NFD, NFC, NFKD, NFKC.
  case form(composes: Bool, compatibility: Bool)
  /// Rewrites every scalar independently.
  case scalars(ScalarRule)
  /// Replaces characters by SentencePiece's table.
  case characters(CharacterMap)
  /// Puts a prefix before every text that is not empty.
  case prepend([UInt32])
  /// Replaces every match.
  case replace(SplitPattern, by: [UInt32])
  /// Removes white space at the ends.
  case strip(left: Bool, right: Bool)
  /// Applies one step after another.
  case sequence([Normalizer])

  /// The normal form of a text.
  func normalize(_ text: [UInt32]) -> [UInt32] {
    switch self {
    case .form(let composes, let compatibility):
      NormalizationForm.normalize(text, composing: composes, compatibility: compatibility)
    case .scalars(let rule): applying(rule, to: text)
    case .characters(let map): map.normalize(text)
    case .prepend(let prefix): text.isEmpty ? [] : prefix + text
    case .replace(let pattern, let replacement): replacing(pattern, by: replacement, in: text)
    case .strip(let left, let right): stripping(text[...], left: left, right: right)
    case .sequence(let steps): steps.reduce(text) { $1.normalize($0) }
    }
  }

  /// The largest factor by which a text may become longer. The factors of a sequence multiply, since each step of a hostile
  /// one can feed the next.
  var growth: Double {
    switch self {
    case .form(_, let compatibility): compatibility ? 18 : 4  // U+FDFA, U+1F82
    case .scalars(.lowercase), .scalars(.separateIdeographs): 3
    case .scalars, .strip: 1
    case .characters(let map): Double(max(1, map.longestReplacement))
    case .prepend(let prefix): Double(1 + prefix.count)
    case .replace(_, let replacement): Double(max(1, replacement.count))
    case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
    }
  }

  static let nfc = Normalizer.form(composes: true, compatibility: false)
  static let nfd = Normalizer.form(composes: false, compatibility: false)

  /// BERT's normalizer, composed of its steps.
  static func bert(
    cleans: Bool, separatesIdeographs: Bool, stripsAccents: Bool, lowercases: Bool
  ) -> Normalizer {
    .sequence(
      (cleans ? [.scalars(.clean)] : [])
        + (separatesIdeographs ? [.scalars(.separateIdeographs)] : [])
        + (stripsAccents ? [.nfd, .scalars(.withoutNonspacingMarks)] : [])
        + (lowercases ? [.scalars(.lowercase)] : []))
  }

  private func applying(_ rule: ScalarRule, to text: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    for value in text {
      if let scalar = Unicode.Scalar(value) { rule.append(scalar, to: &result) }
    }
    return result
  }

  private func replacing(
    _ pattern: SplitPattern, by replacement: [UInt32], in text: [UInt32]
  ) -> [UInt32] {
    var matcher = SplitPatternMatcher(pattern)
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    var position = 0
    let traits = text.map { ScalarTraits(of: $0) }
    for match in matcher.matches(in: text, traits: traits, piece: 0..<text.count) {
      result += text[position..<match.lowerBound]
      result += replacement
      position = match.upperBound
    }
    return result + text[position...]
  }

  private func stripping(_ text: ArraySlice<UInt32>, left: Bool, right: Bool) -> [UInt32] {
    func isSpace(_ scalar: UInt32) -> Bool { ScalarTraits(of: scalar).contains(.space) }
    var text = text
    if left { text = text.drop(while: isSpace) }
    if right { while let last = text.last, isSpace(last) { text.removeLast() } }
    return Array(text)
  }
}
