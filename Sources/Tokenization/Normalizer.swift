/// Rewrites text before it is cut.
indirect enum Normalizer: Sendable {
  /// Canonical decomposition, and composition after it if `composes`: NFD and NFC.
  case canonical(composes: Bool)
  /// Every scalar by its lowercase mapping, without regard to its neighbours.
  case lowercase
  /// Puts a text before any text that is not empty.
  case prepend([UInt32])
  /// Replaces every match.
  case replace(SplitPattern, by: [UInt32])
  /// Removes white space at the ends.
  case strip(left: Bool, right: Bool)
  /// One after another.
  case sequence([Normalizer])

  /// The normal form of a text.
  func normalize(_ text: [UInt32]) -> [UInt32] {
    switch self {
    case .canonical(let composes): CanonicalNormalization.normalize(text, composing: composes)
    case .lowercase:
      text.flatMap { value in
        Unicode.Scalar(value)?.properties.lowercaseMapping.unicodeScalars.map(\.value) ?? [value]
      }
    case .prepend(let prefix): text.isEmpty ? [] : prefix + text
    case .replace(let pattern, let replacement): replacing(pattern, by: replacement, in: text)
    case .strip(let left, let right): stripping(text[...], left: left, right: right)
    case .sequence(let steps): steps.reduce(text) { $1.normalize($0) }
    }
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
