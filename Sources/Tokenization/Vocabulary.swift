/// Tokens and their ids, looked up both ways; a token is its bytes, never its canonical equivalence class.
///
/// All bytes lie one after another in one array, and a token is found by open addressing over it: a vocabulary of
/// 150 000 tokens is five allocations, not 150 000.
struct Vocabulary: Sendable {
  /// Entry e is `bytes[starts[e]..<starts[e + 1]]`.
  private var bytes: [UInt8] = []
  private var starts: [Int] = [0]
  private var ids: [Int32] = []
  /// The entry in each slot, −1 in a free one; a power of two of them, at most half taken.
  private var slots: [Int32] = []
  /// The entry of each id, −1 for an id without token.
  private var entries: [Int32] = []
  /// Differs from process to process, so that no file can be made whose tokens all collide.
  private let seed = UInt64.random(in: 0...UInt64.max)

  /// No published vocabulary has a hundredth of this; an id beyond is damage.
  static let idLimit = 1 << 24

  /// An empty vocabulary with room for so many tokens.
  init(capacity: Int) {
    starts.reserveCapacity(capacity + 1)
    bytes.reserveCapacity(capacity * 8)
    ids.reserveCapacity(capacity)
    entries.reserveCapacity(capacity)
    rehash(slots: 16)
    while slots.count < 2 * capacity { rehash(slots: slots.count * 2) }
  }

  /// How many tokens there are.
  var count: Int { ids.count }

  /// What keeps a token out.
  enum Conflict: Error, Equatable {
    case idOutOfRange, idTaken, tokenTaken
  }

  /// Adds a token.
  mutating func insert(_ token: Span<UInt8>, id: Int) throws(Conflict) {
    guard (0..<Self.idLimit).contains(id) else { throw .idOutOfRange }
    guard id >= entries.count || entries[id] < 0 else { throw .idTaken }
    if 2 * (count + 1) > slots.count { rehash(slots: slots.count * 2) }
    let slot = slot(of: token)
    guard slots[slot] < 0 else { throw .tokenTaken }
    let entry = Int32(count)
    slots[slot] = entry
    for i in token.indices { bytes.append(token[i]) }
    starts.append(bytes.count)
    ids.append(Int32(id))
    while entries.count <= id { entries.append(-1) }
    entries[id] = entry
  }

  /// The id of a token.
  func id(of token: Span<UInt8>) -> Int32? {
    let entry = slots[slot(of: token)]
    return entry < 0 ? nil : ids[Int(entry)]
  }

  /// The id of a token.
  func id(of token: String) -> Int32? { id(of: Array(token.utf8).span) }

  /// The bytes of the token of an id.
  func token(_ id: Int) -> ArraySlice<UInt8>? {
    guard entries.indices.contains(id), entries[id] >= 0 else { return nil }
    let entry = Int(entries[id])
    return bytes[starts[entry]..<starts[entry + 1]]
  }

  /// The slot that holds a token, or the free one where it belongs.
  private func slot(of token: Span<UInt8>) -> Int {
    // FNV-1a from a random start, its high bits folded into the low ones that choose the slot.
    var hash = seed
    for i in token.indices { hash = (hash ^ UInt64(token[unchecked: i])) &* 0x100_0000_01B3 }
    hash ^= hash >> 32
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0, !equals(entry: Int(slots[slot]), token) {
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }

  private func equals(entry: Int, _ token: Span<UInt8>) -> Bool {
    let start = starts[entry]
    guard starts[entry + 1] - start == token.count else { return false }
    for i in token.indices where bytes[start + i] != token[unchecked: i] { return false }
    return true
  }

  private mutating func rehash(slots slotCount: Int) {
    slots = [Int32](repeating: -1, count: slotCount)
    for entry in ids.indices {
      let token = Array(bytes[starts[entry]..<starts[entry + 1]])
      slots[slot(of: token.span)] = Int32(entry)
    }
  }
}
