/// A trie of texts over Unicode scalars, one node per prefix.
struct TokenTrie: Sendable {
  /// The child of a node along a scalar, under `node << 32 | scalar`.
  private var children: [UInt64: Int32] = [:]
  /// The value of the text that ends at each node; −1 if none does.
  private var values: [Int32] = [-1]

  var isEmpty: Bool { values.count == 1 }

  /// Adds a text with a value, which must not be negative. An empty text is ignored; if a text is added twice, the later
  /// value counts.
  mutating func insert(_ text: some Sequence<UInt32>, value: Int) {
    var node: Int32 = 0
    for scalar in text {
      let key = Self.key(node, scalar)
      if let child = children[key] {
        node = child
      } else {
        let child = Int32(values.count)
        children[key] = child
        node = child
        values.append(-1)
      }
    }
    if node > 0 { values[Int(node)] = Int32(value) }
  }

  /// Calls `body` with the length and value of every stored text that is a prefix of `text`, shortest first.
  ///
  /// Returns the number of scalars examined: at most one more than the length of the longest stored text.
  @discardableResult
  func forEachPrefix(of text: ArraySlice<UInt32>, _ body: (Int, Int) -> Void) -> Int {
    var node: Int32 = 0
    var steps = 0
    for scalar in text {
      steps += 1
      guard let child = children[Self.key(node, scalar)] else { break }
      node = child
      let value = values[Int(node)]
      if value >= 0 { body(steps, Int(value)) }
    }
    return steps
  }

  /// The longest stored text that is a prefix of `text`.
  func longestPrefix(of text: ArraySlice<UInt32>) -> (length: Int, value: Int)? {
    var result: (length: Int, value: Int)?
    forEachPrefix(of: text) { result = ($0, $1) }
    return result
  }

  private static func key(_ node: Int32, _ scalar: UInt32) -> UInt64 {
    UInt64(UInt32(bitPattern: node)) << 32 | UInt64(scalar)
  }
}
