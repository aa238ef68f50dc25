/// The WordPiece model: a word is split greedily into the longest token that begins it, then the longest that continues it,
/// and so on.
///
/// Schuster and Nakajima, "Japanese and Korean voice search", ICASSP 2012; Devlin et al., "BERT", NAACL 2019 (arXiv
/// 1810.04805). If no token continues the rest of a word, the whole word is unknown. O(n · longest token) for n scalars.
struct WordPiece: Sendable {
  /// The tokens; those that continue a word have their prefix.
  let vocabulary: Vocabulary
  private let beginnings: TokenTrie
  private let continuations: TokenTrie
  private let unknownToken: Int
  private let wordLimit: Int

  /// A model in which tokens with `prefix` continue words, and words of more than `wordLimit` scalars are unknown.
  init(vocabulary: Vocabulary, prefix: String, unknownToken: Int, wordLimit: Int) {
    var beginnings = TokenTrie()
    var continuations = TokenTrie()
    let prefix = prefix.unicodeScalars.map(\.value)
    vocabulary.forEach { token, id in
      let text = String(decoding: token, as: UTF8.self).unicodeScalars.map(\.value)
      beginnings.insert(text, value: id)
      if text.starts(with: prefix) { continuations.insert(text[prefix.count...], value: id) }
    }
    self.vocabulary = vocabulary
    self.beginnings = beginnings
    self.continuations = continuations
    self.unknownToken = unknownToken
    self.wordLimit = wordLimit
  }

  /// Appends the tokens of a word to `result`. Returns the number of scalars examined.
  func encode(_ word: ArraySlice<UInt32>, into result: inout [Int]) -> Int {
    let before = result.count
    var steps = 0
    var rest = word
    while word.count <= wordLimit, !rest.isEmpty {
      var longest: (length: Int, token: Int)?
      let trie = rest.startIndex == word.startIndex ? beginnings : continuations
      steps += trie.forEachPrefix(of: rest) { longest = ($0, $1) }
      guard let longest else { break }
      result.append(longest.token)
      rest = rest.dropFirst(longest.length)
    }
    if !rest.isEmpty {
      result.removeSubrange(before...)
      result.append(unknownToken)
    }
    return steps
  }
}
