/// A division of consecutive things into one range per process, some of which may be empty.
public struct Partition: Sendable, Equatable {
  /// The range of each process.
  public let ranges: [Range<Int>]

  /// A division of `count` things into `parts` ranges that begin at multiples of `unit`, as even as that allows.
  public init(of count: Int, parts: Int, unit: Int = 1) {
    let units = (count + unit - 1) / unit
    ranges = (0..<parts).map { p in
      min(count, units * p / parts * unit)..<min(count, units * (p + 1) / parts * unit)
    }
  }

  /// The lengths of the ranges.
  public var counts: [Int] { ranges.map(\.count) }
}
