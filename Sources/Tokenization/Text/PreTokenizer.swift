/// Cuts text into the pieces that no token reaches across.
indirect enum PreTokenizer: Sendable {
  /// Cuts at the matches of a pattern, or, `inverted`, takes what lies between them for the matches.
  case split(SplitPattern, SplitBehavior, inverted: Bool)
  /// Begins every piece with a blank, unless it begins with one.
  case prefixSpace
  /// Spells every byte with its character of `ByteLevelAlphabet`.
  case byteLevel
  /// Writes every blank as `replacement`, begins pieces with one, and cuts before each if `splits`.
  case metaspace(replacement: UInt32, prefix: MetaspacePrefix, splits: Bool)
  /// One after another.
  case sequence([PreTokenizer])

  /// As `Normalizer.growth`.
  var growth: Double {
    switch self {
    case .split: 1
    case .prefixSpace, .metaspace: 2
    case .byteLevel: 4  // bytes of a scalar
    case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
    }
  }

  /// Which pieces `metaspace` begins with its replacement, unless they begin with it already.
  enum MetaspacePrefix: Sendable {
    case always, never
    /// The piece at the very beginning of the text.
    case first
  }

  /// Cuts each of the pieces further.
  func apply(to pieces: inout Pieces) {
    switch self {
    case .split(let pattern, let behavior, let inverted):
      pieces.split(by: pattern, behavior, inverted: inverted)
    case .prefixSpace:
      pieces.rewrite { piece, result in
        if piece.first != 0x20 { result.append(0x20) }
        result += piece
      }
    case .byteLevel: pieces.rewrite { ByteLevelAlphabet.encode($0, into: &$1) }
    case .metaspace(let replacement, let prefix, let splits):
      var isFirst = pieces.beginText
      pieces.rewrite { piece, result in
        if prefix == .always || (prefix == .first && isFirst),
          piece.first != replacement, piece.first != 0x20
        {
          result.append(replacement)
        }
        isFirst = false
        for scalar in piece { result.append(scalar == 0x20 ? replacement : scalar) }
      }
      if splits {
        pieces.split(
          by: SplitPattern(ScalarClass(ranges: [replacement...replacement])), .mergedWithNext,
          inverted: false)
      }
    case .sequence(let steps):
      for step in steps { step.apply(to: &pieces) }
    }
  }
}

/// What becomes of the matches of a split.
enum SplitBehavior: String, Sendable {
  /// A match is a piece.
  case isolated = "Isolated"
  /// A match is dropped.
  case removed = "Removed"
  /// Neighbouring matches are one piece, and so is what lies between two runs of them.
  case contiguous = "Contiguous"
  /// A match ends the piece before it.
  case mergedWithPrevious = "MergedWithPrevious"
  /// A match begins the piece after it.
  case mergedWithNext = "MergedWithNext"
}

/// Consecutive pieces of a text, in one array of scalars.
struct Pieces: Sendable {
  /// The scalars of all pieces, and of what was dropped.
  private(set) var scalars: [UInt32]
  /// Where each piece lies, from left to right; none is empty.
  private(set) var ranges: [Range<Int>]
  /// Whether the first piece begins where the whole text does.
  private(set) var beginText: Bool
  /// The steps the matchers took, the measure of work.
  private(set) var steps = 0

  /// One piece, or none if the text is empty.
  init(_ text: [UInt32], beginText: Bool = true) {
    scalars = text
    self.beginText = beginText
    ranges = text.isEmpty ? [] : [0..<text.count]
  }

  /// Replaces every piece by what `body` appends for it.
  mutating func rewrite(_ body: (ArraySlice<UInt32>, inout [UInt32]) -> Void) {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count)
    for i in ranges.indices {
      let start = result.count
      body(scalars[ranges[i]], &result)
      ranges[i] = start..<result.count
    }
    scalars = result
  }

  /// Cuts every piece by the matches of a pattern.
  mutating func split(by pattern: SplitPattern, _ behavior: SplitBehavior, inverted: Bool) {
    let traits = scalars.map { ScalarTraits(of: $0) }
    var matcher = SplitPatternMatcher(pattern)
    var result: [Range<Int>] = []
    for piece in ranges {
      // The matches and the gaps between them, alternating or not: together they are the piece.
      var parts: [(range: Range<Int>, isMatch: Bool)] = []
      var position = piece.lowerBound
      for match in matcher.matches(in: scalars, traits: traits, piece: piece) {
        if position < match.lowerBound { parts.append((position..<match.lowerBound, inverted)) }
        parts.append((match, !inverted))
        position = match.upperBound
      }
      if position < piece.upperBound { parts.append((position..<piece.upperBound, inverted)) }
      behavior.join(parts, into: &result)
    }
    if result.first?.lowerBound != ranges.first?.lowerBound { beginText = false }
    ranges = result
    steps += matcher.steps
  }
}

extension SplitBehavior {
  /// Appends the pieces that matches and gaps, in their order, become.
  fileprivate func join(
    _ parts: [(range: Range<Int>, isMatch: Bool)], into result: inout [Range<Int>]
  ) {
    switch self {
    case .isolated: for part in parts { result.append(part.range) }
    case .removed: for part in parts where !part.isMatch { result.append(part.range) }
    case .contiguous, .mergedWithPrevious, .mergedWithNext:
      // Whether a part, from the second on, belongs to the piece of the one before it. A match that follows a match
      // is no longer next to what could take it in.
      func continues(_ i: Int) -> Bool {
        switch self {
        case .mergedWithPrevious:
          parts[i].isMatch && !parts[i - 1].isMatch
        case .mergedWithNext:
          parts[i - 1].isMatch && !parts[i].isMatch
        default: parts[i].isMatch == parts[i - 1].isMatch
        }
      }
      for (i, part) in parts.enumerated() {
        if i > 0, continues(i), let last = result.popLast() {
          result.append(last.lowerBound..<part.range.upperBound)
        } else {
          result.append(part.range)
        }
      }
    }
  }
}
