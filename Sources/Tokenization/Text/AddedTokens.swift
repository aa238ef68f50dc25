/// A token that is found in the text itself, before anything is cut.
struct AddedToken: Sendable {
  /// What is searched for.
  var content: String
  /// Its id.
  var id: Int
  /// Whether it marks structure rather than text: skipped on request when decoding.
  var isSpecial = false
  /// Whether it counts only with no letter, digit or mark next to it.
  var isSingleWord = false
  /// Whether it takes the white space before it along.
  var stripsLeft = false
  /// Whether it takes the white space after it along.
  var stripsRight = false
  /// Whether it is searched for, normalized, in the normalized text; otherwise as it is in the text as given.
  var isNormalized = false
}

/// Finds added tokens: at each place the longest that begins there, from the left, none overlapping.
struct AddedTokens: Sendable {
  /// The tokens, in the order of the file.
  let tokens: [AddedToken]
  private let literal: TokenTrie
  private let normalized: TokenTrie

  /// Makes the search for some tokens in texts that are normalized so.
  init(_ tokens: [AddedToken], normalizer: Normalizer?) {
    self.tokens = tokens
    var literal = TokenTrie()
    var normalized = TokenTrie()
    for (i, token) in tokens.enumerated() {
      let content = token.content.unicodeScalars.map(\.value)
      if token.isNormalized {
        normalized.insert(normalizer?.normalize(content) ?? content, value: i)
      } else {
        literal.insert(content, value: i)
      }
    }
    self.literal = literal
    self.normalized = normalized
  }

  /// A stretch of text, or a token found in it.
  enum Segment: Equatable {
    case text([UInt32])
    case token(Int)
  }

  /// A text as tokens found in it and the normalized text between them; `isAtStart` of a segment says that it begins
  /// where the text does.
  func segments(
    of text: [UInt32], normalizer: Normalizer?
  ) -> [(segment: Segment, isAtStart: Bool)] {
    var result: [(segment: Segment, isAtStart: Bool)] = []
    for (outer, outerIsAtStart) in split(text, by: literal) {
      guard case .text(let scalars) = outer else {
        result.append((outer, outerIsAtStart))
        continue
      }
      let inner = split(normalizer?.normalize(scalars) ?? scalars, by: normalized)
      result += inner.map { ($0.segment, $0.isAtStart && outerIsAtStart) }
    }
    return result
  }

  private func split(
    _ text: [UInt32], by trie: TokenTrie
  ) -> [(segment: Segment, isAtStart: Bool)] {
    if trie.isEmpty { return [(.text(text), true)] }
    var result: [(segment: Segment, isAtStart: Bool)] = []
    var covered = 0
    var position = 0
    while position < text.count {
      guard let (length, i) = trie.longestPrefix(of: text[position...]) else {
        position += 1
        continue
      }
      var (start, end) = (position, position + length)
      // The search goes on after the token itself, even if it is discarded or takes white space along; what is found
      // within that is not found again.
      position = end
      if start < covered { continue }
      let token = tokens[i]
      if token.isSingleWord,
        start > 0 && isWord(text[start - 1]) || end < text.count && isWord(text[end])
      {
        continue
      }
      if token.stripsLeft { while start > covered, isSpace(text[start - 1]) { start -= 1 } }
      if token.stripsRight { while end < text.count, isSpace(text[end]) { end += 1 } }
      if covered < start { result.append((.text(Array(text[covered..<start])), covered == 0)) }
      result.append((.token(token.id), start == 0))
      covered = end
    }
    if covered < text.count { result.append((.text(Array(text[covered...])), covered == 0)) }
    return result
  }

  private func isSpace(_ scalar: UInt32) -> Bool { ScalarTraits(of: scalar).contains(.space) }

  private func isWord(_ scalar: UInt32) -> Bool { ScalarTraits(of: scalar).contains(.word) }
}
