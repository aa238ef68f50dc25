/// One of several parts of a run's prompts, divided among processes or machines: `2/8` is the second of eight.
public struct Shard: Sendable, Hashable, Codable {
  /// The number of the part, from 1.
  public let index: Int
  /// The number of parts.
  public let count: Int

  /// Part `index` of `count`; nil unless 1 ≤ index ≤ count ≤ 2²⁰.
  public init?(index: Int, count: Int) {
    guard index >= 1, index <= count, count <= 1 << 20 else { return nil }
    self.index = index
    self.count = count
  }

  /// Reads `2/8`; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]) else { return nil }
    self.init(index: index, count: count)
  }

  /// The part's prompts among `total`: a contiguous range; the sizes of parts differ by at most one.
  public func range(of total: Int) -> Range<Int> {
    let bound = { (i: Int) in total * i / count }
    return bound(index - 1)..<bound(index)
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let shard = Shard(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "not a part such as 2/8")
    }
    self = shard
  }

  /// Writes `"2/8"`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode("\(index)/\(count)")
  }
}
