import HeapModule

/// Byte pair encoding: a piece of text, first a sequence of characters, is shortened by always applying the
/// merge of lowest rank, leftmost first, until none applies.
///
/// Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", ACL 2016. The
/// candidates wait in a heap, so a piece of n characters costs O(n log n), whatever they are.
struct BytePairEncoding: Sendable {
  /// What two neighbouring tokens become.
  struct Merge: Equatable, Sendable {
    let rank: Int32
    let token: Int32
  }

  /// The tokens.
  var vocabulary: Vocabulary
  private var merges: [UInt64: Merge] = [:]

  /// Stands for a character that is in no token; without one such a character is dropped.
  var unknownToken: Int32?
  /// Whether a run of such characters is one unknown token.
  var fusesUnknown = false
  /// `Vocabulary.byteTokens`, if they spell characters that are in no token; tried before `unknownToken`.
  var byteTokens: [Int32?] = []
  /// What the last character of a piece has after it.
  var suffix: [UInt8] = []
  /// Whether a piece that is a token is that token, merges or not.
  var ignoresMerges = false

  /// A model without merges.
  init(vocabulary: Vocabulary) { self.vocabulary = vocabulary }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  /// Makes room for so many merges.
  mutating func reserve(merges count: Int) { merges.reserveCapacity(count) }

  /// Adds the merge of two neighbours. Of two merges of the same pair the later holds, as in the reference.
  mutating func addMerge(_ left: Int32, _ right: Int32, _ merge: Merge) {
    merges[Self.key(left, right)] = merge
  }

  /// The tokens of a piece, appended to `result`. O(n log n) for n scalars.
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

  /// The symbols before any merge: a token per character, or its bytes, or the unknown token.
  ///
  /// An unknown token waits until the next character that is a token (bytes do not end the wait), as in the
  /// reference.
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
      // A symbol that was merged away, or got another neighbour since, makes a candidate stale; it is still good if
      // the new neighbours merge into the same token, exactly as the reference takes it.
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

  /// What encoding a piece needs beyond the model, kept from piece to piece.
  struct Workspace {
    /// A token in a doubly linked list; −1 as `token` of one that was merged away, as `next` and `previous` at the
    /// ends.
    fileprivate struct Symbol {
      var token: Int32
      var previous: Int
      var next: Int
    }

    fileprivate var symbols: [Symbol] = []
    fileprivate var bytes: [UInt8] = []
    /// Candidates queued so far, the measure of work.
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
