/// The unigram language model: among all ways to spell a piece with tokens, it chooses the one with the largest sum of scores.
///
/// Kudo, "Subword regularization", ACL 2018 (arXiv 1804.10959). Viterbi's recursion over the positions of the piece:
/// best(j) = maxᵢ best(i) + score(piece[i..<j]); of equal sums the one with the longest last token wins. A character that is
/// not a token itself can be spelt as unknown, with a score 10 below the lowest. O(n · longest token) for n scalars.
struct Unigram: Sendable {
  /// The tokens.
  let vocabulary: Vocabulary
  private let trie: TokenTrie
  /// The scores by id; an id without a token may have any score.
  private let scores: [Double]
  private let unknownToken: Int
  private let unknownScore: Double
  private let byteTokens: [Int32?]

  /// A model with these tokens and their scores by id, which must be finite.
  ///
  /// `isText` states whether the token of an id may spell text, and `spellsBytes` whether the tokens `<0x00>` … `<0xFF>`
  /// spell unknown text.
  init(
    vocabulary: Vocabulary, scores: [Double], unknownToken: Int, spellsBytes: Bool,
    isText: (Int) -> Bool = { _ in true }
  ) {
    var trie = TokenTrie()
    var lowest = Double.infinity
    for id in scores.indices where isText(id) {
      lowest = min(lowest, scores[id])
      if let token = vocabulary.token(id) {
        trie.insert(String(decoding: token, as: UTF8.self).unicodeScalars.map(\.value), value: id)
      }
    }
    self.vocabulary = vocabulary
    self.trie = trie
    self.scores = scores
    self.unknownToken = unknownToken
    unknownScore = lowest - 10
    byteTokens = spellsBytes ? vocabulary.byteTokens : []
  }

  /// Memory for encoding, reused from piece to piece.
  struct Workspace {
    /// The best spelling of the text before a position: its score, and the start and id of its last token.
    fileprivate struct Node {
      var score = 0.0
      var start = -1
      var token = 0
    }

    fileprivate var best: [Node] = []
    /// The ends of the tokens in the best spelling, last token first.
    fileprivate var ends: [Int] = []
    /// The number of scalars examined so far, a measure of the work done.
    fileprivate(set) var steps = 0

    fileprivate mutating func offer(_ token: Int, score: Double, from start: Int, to end: Int) {
      let sum = best[start].score + score
      if best[end].start < 0 || sum > best[end].score {
        best[end] = Node(score: sum, start: start, token: token)
      }
    }
  }

  /// Appends the tokens of a piece to `result`.
  func encode(_ piece: ArraySlice<UInt32>, into result: inout [Int], using work: inout Workspace) {
    let text = Array(piece)[...]
    work.best.removeAll(keepingCapacity: true)
    work.best.append(contentsOf: repeatElement(Workspace.Node(), count: text.count + 1))
    for start in text.indices {
      var isKnown = false
      work.steps += trie.forEachPrefix(of: text[start...]) { length, token in
        work.offer(token, score: scores[token], from: start, to: start + length)
        if length == 1 { isKnown = true }
      }
      if !isKnown { work.offer(unknownToken, score: unknownScore, from: start, to: start + 1) }
    }

    work.ends.removeAll(keepingCapacity: true)
    var end = text.count
    while end > 0 {
      work.ends.append(end)
      end = work.best[end].start
    }
    // A run of unknown tokens is spelt as one.
    var unknownStart: Int?
    for end in work.ends.reversed() {
      let node = work.best[end]
      if node.token == unknownToken {
        unknownStart = unknownStart ?? node.start
        continue
      }
      if let start = unknownStart { spell(text[start..<node.start], into: &result) }
      unknownStart = nil
      result.append(node.token)
    }
    if let start = unknownStart { spell(text[start...], into: &result) }
  }

  /// Spells unknown text as the one token that it may be as a whole, else by byte tokens, else as the unknown token.
  private func spell(_ text: ArraySlice<UInt32>, into result: inout [Int]) {
    let bytes = Array(String(scalarValues: text).utf8)
    if let token = vocabulary.id(of: bytes.span) {
      result.append(Int(token))
    } else if !byteTokens.isEmpty, bytes.allSatisfy({ byteTokens[Int($0)] != nil }) {
      for byte in bytes { if let token = byteTokens[Int(byte)] { result.append(Int(token)) } }
    } else {
      result.append(unknownToken)
    }
  }
}
