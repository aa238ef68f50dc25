import HeapModule

/// Byte pair encoding: a piece of text starts as a sequence of characters, and the merge of lowest rank, leftmost first, is
/// applied until none applies.
///
/// Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", ACL 2016. Candidate merges are
/// kept in a heap, so a piece of n characters costs O(n log n) in the worst case.
struct BytePairEncoding: Sendable {
  /// A merge of two neighbouring tokens into `token`.
  struct Merge: Equatable, Sendable {
    let rank: Int32
    let token: Int32
  }

  /// The tokens.
  var vocabulary: Vocabulary
  private var merges: [UInt64: Merge] = [:]

  /// The token for a character that no token spells; if nil, such a character is dropped.
  var unknownToken: Int32?
  /// Whether a run of such characters becomes a single unknown token.
  var fusesUnknown = false
  /// The vocabulary's `byteTokens` if they spell characters that no token spells, else empty; tried before `unknownToken`.
  var byteTokens: [Int32?] = []
  /// The bytes appended to the last character of a piece.
  var suffix: [UInt8] = []
  /// Whether a piece that is itself a token is encoded as that token, regardless of merges.
  var ignoresMerges = false

  /// A model without merges.
  init(vocabulary: Vocabulary) { self.vocabulary = vocabulary }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// Reserves room for `count` merges.
  mutating func reserve(merges count: Int) { merges.reserveCapacity(count) }

  /// Adds the merge of two neighbours. If a pair has two merges, the later one counts, as in the reference.
  mutating func addMerge(_ left: Int32, _ right: Int32, _ merge: Merge) {
    merges[Self.key(left, right)] = merge
  }

  /// Appends the tokens of a piece to `result`. O(n log n) for n scalars.
  func encode(_ piece: ArraySlice<UInt32>, into result: inout [Int], using work: inout Workspace) {
    if piece.isEmpty { return }
    if ignoresMerges {
      work.bytes.removeAll(keepingCapacity: true)
      for scalar in piece { work.append(scalar) }
      if let id = vocabulary.id(of: work.bytes.span) {
        result.append(Int(id))
        return
      }
    }
    setCharacters(of: piece, &work)
    applyMerges(&work)
    var i = work.symbols.isEmpty ? -1 : 0
    while i >= 0 {
      result.append(Int(work.symbols[i].token))
      i = work.symbols[i].next
    }
  }

  /// Sets the symbols before any merge: for each character its token, its byte tokens, or the unknown token.
  ///
  /// As in the reference, an unknown token is held back until the next character that is a token; byte tokens do not release
  /// it.
  private func setCharacters(of piece: ArraySlice<UInt32>, _ work: inout Workspace) {
    work.symbols.removeAll(keepingCapacity: true)
    var unknownIsPending = false
    for i in piece.indices {
      work.bytes.removeAll(keepingCapacity: true)
      work.append(piece[i])
      if i == piece.endIndex - 1 { work.bytes += suffix }
      if let id = vocabulary.id(of: work.bytes.span) {
        if unknownIsPending, let unknownToken { work.append(token: unknownToken) }
        unknownIsPending = false
        work.append(token: id)
      } else if !byteTokens.isEmpty, work.bytes.allSatisfy({ byteTokens[Int($0)] != nil }) {
        for byte in work.bytes { if let id = byteTokens[Int(byte)] { work.append(token: id) } }
      } else if let unknownToken {
        if unknownIsPending, !fusesUnknown { work.append(token: unknownToken) }
        unknownIsPending = true
      }
    }
    if unknownIsPending, let unknownToken { work.append(token: unknownToken) }
  }

  private func applyMerges(_ work: inout Workspace) {
    var waiting: [Candidate] = []
    for i in work.symbols.indices.dropLast() {
      if let candidate = candidate(i, work.symbols) { waiting.append(candidate) }
    }
    var queue = Heap(waiting)
    work.candidates += queue.count
    while let top = queue.popMin() {
      let i = top.position
      let next = work.symbols[i].next
      // A candidate is stale if its symbol was merged away or has another neighbour since. As in the reference, it is still
      // applied if the new neighbours merge into the same token.
      guard next >= 0, work.symbols[i].token >= 0,
        merges[Self.key(work.symbols[i].token, work.symbols[next].token)]?.token == top.token
      else { continue }
      work.symbols[i].token = top.token
      work.symbols[i].next = work.symbols[next].next
      work.symbols[next].token = -1
      let after = work.symbols[i].next
      if after >= 0 { work.symbols[after].previous = i }
      let before = work.symbols[i].previous
      if before >= 0, let candidate = candidate(before, work.symbols) {
        queue.insert(candidate)
        work.candidates += 1
      }
      if let candidate = candidate(i, work.symbols) {
        queue.insert(candidate)
        work.candidates += 1
      }
    }
  }

  private func candidate(_ i: Int, _ symbols: [Workspace.Symbol]) -> Candidate? {
    let next = symbols[i].next
    guard next >= 0, let merge = merges[Self.key(symbols[i].token, symbols[next].token)] else {
      return nil
    }
    return Candidate(rank: merge.rank, position: i, token: merge.token)
  }

  /// A merge that could be applied at a position.
  private struct Candidate: Comparable {
    let rank: Int32
    let position: Int
    let token: Int32

    static func < (a: Candidate, b: Candidate) -> Bool {
      (a.rank, a.position) < (b.rank, b.position)
    }
  }

  /// Memory for encoding, reused from piece to piece.
  struct Workspace {
    /// A token in a doubly linked list. `token` is −1 after the symbol was merged away; `next` and `previous` are −1 at the
    /// ends.
    fileprivate struct Symbol {
      var token: Int32
      var previous: Int
      var next: Int
    }

    fileprivate var symbols: [Symbol] = []
    fileprivate var bytes: [UInt8] = []
    /// The number of candidates queued so far, a measure of the work done.
    fileprivate(set) var candidates = 0

    fileprivate mutating func append(_ scalar: UInt32) {
      if let scalar = Unicode.Scalar(scalar) {
        bytes.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
      }
    }

    fileprivate mutating func append(token: Int32) {
      let i = symbols.count
      if i > 0 { symbols[i - 1].next = i }
      symbols.append(Symbol(token: token, previous: i - 1, next: -1))
    }
  }
}
