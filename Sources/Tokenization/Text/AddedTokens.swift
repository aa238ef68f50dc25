/// A token that is found in the text itself, before the text is split.
struct AddedToken: Sendable {
  /// The text that is searched for.
  var content: String
  /// The token's id.
  var id: Int
  /// Whether it marks structure rather than text; decoding can skip such tokens.
  var isSpecial = false
  /// Whether it is found only if no letter, digit or mark is next to it.
  var isSingleWord = false
  /// Whether it absorbs the white space before it.
  var stripsLeft = false
  /// Whether it absorbs the white space after it.
  var stripsRight = false
  /// Whether its normalized content is searched for in the normalized text, rather than its content in the original text.
  var isNormalized = false
}

/// Finds added tokens from left to right without overlap; at each position, the longest one that begins there.
struct AddedTokens: Sendable {
  /// The tokens, in the order of the file.
  let tokens: [AddedToken]
  private let literal: TokenTrie
  private let normalized: TokenTrie

  /// A search for these tokens in texts that `normalizer` normalizes.
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

  /// The tokens found in a text and the normalized text between them. `isAtStart` states whether a segment begins at the
  /// start of the text.
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
      // The search continues after the token itself, even if the token is discarded or absorbs white space; a token found
      // within absorbed white space is skipped.
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
