/// Tokens and their ids, looked up in both directions. Tokens are compared by their bytes, not by canonical equivalence.
///
/// All bytes are in one array, and tokens are found by open addressing: a vocabulary of 150 000 tokens takes five
/// allocations, not 150 000.
struct Vocabulary: Sendable {
  /// The bytes of all tokens; those of entry e are `bytes[starts[e]..<starts[e + 1]]`.
  private var bytes: [UInt8] = []
  private var starts: [Int] = [0]
  private var ids: [Int32] = []
  /// The hash table, with a power of two of slots of which at most half are occupied. A free slot is 0. Another has the upper
  /// half of the token's hash, which decides nearly every comparison, and in the lower half the entry plus 1.
  private var slots: [UInt64] = []
  /// The entry of each id; −1 for an id without a token.
  private var entries: [Int32] = []
  /// The start of every hash. It differs between vocabularies, so that no file can be made whose tokens all collide.
  private let seed = UInt64.random(in: 0...UInt64.max)

  /// The first id that is not accepted. Published vocabularies have less than a tenth as many tokens.
  static let idLimit = 1 << 24

  /// An empty vocabulary with room for `capacity` tokens.
  init(capacity: Int) {
    starts.reserveCapacity(capacity + 1)
    bytes.reserveCapacity(capacity * 8)
    ids.reserveCapacity(capacity)
    entries.reserveCapacity(capacity)
    var slotCount = 16
    while slotCount < 2 * capacity { slotCount *= 2 }
    slots = [UInt64](repeating: 0, count: slotCount)
  }

  /// The number of tokens.
  var count: Int { ids.count }

  /// Why a token cannot be added.
  enum Conflict: Error, Equatable {
    case idOutOfRange, idTaken, tokenTaken
  }

  /// Adds a token with its id.
  mutating func insert(_ token: Span<UInt8>, id: Int) throws(Conflict) {
    guard (0..<Self.idLimit).contains(id) else { throw .idOutOfRange }
    guard id >= entries.count || entries[id] < 0 else { throw .idTaken }
    if 2 * (count + 1) > slots.count { rehash(slots: slots.count * 2) }
    let hash = hash(token)
    let slot = slot(of: token, hash: hash)
    guard slots[slot] == 0 else { throw .tokenTaken }
    let entry = Int32(count)
    slots[slot] = hash & Self.hashMask | UInt64(entry + 1)
    token.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    starts.append(bytes.count)
    ids.append(Int32(id))
    while entries.count <= id { entries.append(-1) }
    entries[id] = entry
  }

  /// The id of a token; nil if it is not in the vocabulary.
  func id(of token: Span<UInt8>) -> Int32? {
    let slot = slots[slot(of: token, hash: hash(token))]
    return slot == 0 ? nil : ids[Self.entry(in: slot)]
  }

  /// The id of a token; nil if it is not in the vocabulary.
  func id(of token: String) -> Int32? { id(of: Array(token.utf8).span) }

  /// The error for a text that should be a token but is not.
  struct NoSuchToken: Error, Equatable {
    let text: [UInt8]
  }

  /// The ids of the two tokens that a merge joins, and of their result. `both` is the concatenation of the two texts, and the
  /// right one begins at `boundary`.
  func merge(
    _ both: Span<UInt8>, boundary: Int
  ) throws(NoSuchToken) -> (left: Int32, right: Int32, joined: Int32) {
    (
      try knownID(of: both.extracting(..<boundary)), try knownID(of: both.extracting(boundary...)),
      try knownID(of: both)
    )
  }

  private func knownID(of token: Span<UInt8>) throws(NoSuchToken) -> Int32 {
    if let id = id(of: token) { return id }
    throw NoSuchToken(text: token.indices.map { token[$0] })
  }

  /// The bytes of the token with an id; nil if there is none.
  func token(_ id: Int) -> ArraySlice<UInt8>? {
    guard entries.indices.contains(id), entries[id] >= 0 else { return nil }
    let entry = Int(entries[id])
    return bytes[starts[entry]..<starts[entry + 1]]
  }

  /// Calls `body` with every token and its id, in the order they were added.
  func forEach(_ body: (ArraySlice<UInt8>, Int) -> Void) {
    for entry in ids.indices { body(bytes[starts[entry]..<starts[entry + 1]], Int(ids[entry])) }
  }

  /// The ids of the tokens `<0x00>` … `<0xFF>`; nil for those that are missing.
  var byteTokens: [Int32?] {
    (0...UInt8.max).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return id(of: byte < 16 ? "<0x0\(digits)>" : "<0x\(digits)>")
    }
  }

  private static let hashMask: UInt64 = ~0 << 32
  private static func entry(in slot: UInt64) -> Int { Int(slot & ~hashMask) - 1 }

  /// FNV-1a with a random start. A final multiplication mixes its lower bits into the upper half, which is the half in use.
  private func hash(_ token: Span<UInt8>) -> UInt64 {
    var hash = seed
    for i in token.indices { hash = (hash ^ UInt64(token[unchecked: i])) &* 0x100_0000_01B3 }
    return (hash ^ hash >> 32) &* 0x9E37_79B9_7F4A_7C15
  }

  /// The slot that holds a token, or the free slot where it would be inserted.
  private func slot(of token: Span<UInt8>, hash: UInt64) -> Int {
    let (slots, starts, bytes) = (slots.span, starts.span, bytes.span)
    func holds(_ entry: Int) -> Bool {
      let start = starts[entry]
      guard starts[entry + 1] - start == token.count else { return false }
      for i in token.indices where bytes[start + i] != token[unchecked: i] { return false }
      return true
    }
    var slot = Int(hash >> 32) & (slots.count - 1)
    while slots[slot] != 0 {
      let held = slots[slot]
      if (held ^ hash) & Self.hashMask == 0, holds(Self.entry(in: held)) { break }
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  /// Moves all entries to a table of `slotCount` slots.
  private mutating func rehash(slots slotCount: Int) {
    var moved = [UInt64](repeating: 0, count: slotCount)
    for held in slots where held != 0 {
      var slot = Int(held >> 32) & (slotCount - 1)
      while moved[slot] != 0 { slot = (slot + 1) & (slotCount - 1) }
      moved[slot] = held
    }
    slots = moved
  }
}
