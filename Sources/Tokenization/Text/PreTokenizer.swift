/// Splits text into pieces; no token crosses the boundary of a piece.
indirect enum PreTokenizer: Sendable {
  /// Splits at the matches of a pattern; if `inverted`, at the text between them.
  case split(SplitPattern, SplitBehavior, inverted: Bool)
  /// Puts a space before every piece that does not begin with one.
  case prefixSpace
  /// Replaces every byte by its character in `ByteLevelAlphabet`.
  case byteLevel
  /// Replaces every space by `replacement`, puts one before the pieces that `prefix` selects, and splits before each if
  /// `splits`.
  case metaspace(replacement: UInt32, prefix: MetaspacePrefix, splits: Bool)
  /// Applies one step after another.
  case sequence([PreTokenizer])

  /// Like `Normalizer.growth`.
  var growth: Double {
    switch self {
    case .split: 1
    case .prefixSpace, .metaspace: 2
    case .byteLevel: 4  // bytes of a scalar
    case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
    }
  }

  /// The pieces that `metaspace` puts its replacement before, unless they begin with it already.
  enum MetaspacePrefix: Sendable {
    case always, never
    /// Only the piece at the very beginning of the text.
    case first
  }

  /// Splits each of the pieces further.
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

/// What happens to the matches of a split.
enum SplitBehavior: String, Sendable {
  /// Each match is a piece.
  case isolated = "Isolated"
  /// Each match is dropped.
  case removed = "Removed"
  /// Adjacent matches are one piece, and so is the text between two runs of matches.
  case contiguous = "Contiguous"
  /// Each match ends the piece before it.
  case mergedWithPrevious = "MergedWithPrevious"
  /// Each match begins the piece after it.
  case mergedWithNext = "MergedWithNext"
}

/// Consecutive pieces of a text, in one array of scalars.
struct Pieces: Sendable {
  /// The scalars of all pieces and of dropped text.
  private(set) var scalars: [UInt32]
  /// The range of each piece, from left to right; none is empty.
  private(set) var ranges: [Range<Int>]
  /// Whether the first piece begins at the start of the whole text.
  private(set) var beginText: Bool
  /// The number of steps that matchers took so far, a measure of the work done.
  private(set) var steps = 0

  /// The text as one piece, or as none if it is empty.
  init(_ text: [UInt32], beginText: Bool = true) {
    scalars = text
    self.beginText = beginText
    ranges = text.isEmpty ? [] : [0..<text.count]
  }

  /// Replaces every piece by the scalars that `body` appends for it.
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

  /// Splits every piece at the matches of a pattern.
  mutating func split(by pattern: SplitPattern, _ behavior: SplitBehavior, inverted: Bool) {
    let traits = scalars.map { ScalarTraits(of: $0) }
    var matcher = SplitPatternMatcher(pattern)
    var result: [Range<Int>] = []
    for piece in ranges {
      // The matches and the gaps between them; together they cover the piece.
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
  /// Appends the pieces that result from matches and gaps, given in order.
  fileprivate func join(
    _ parts: [(range: Range<Int>, isMatch: Bool)], into result: inout [Range<Int>]
  ) {
    switch self {
    case .isolated: for part in parts { result.append(part.range) }
    case .removed: for part in parts where !part.isMatch { result.append(part.range) }
    case .contiguous, .mergedWithPrevious, .mergedWithNext:
      // Whether part i ≥ 1 belongs to the same piece as the part before it. For the merged behaviors, a match directly after
      // a match does not: it is not adjacent to a gap that it could be merged with.
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
