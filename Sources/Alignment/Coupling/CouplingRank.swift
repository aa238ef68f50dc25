/// The rank K at which a coupling is computed: 1 ≤ K ≤ d.
public enum CouplingRank {
  /// `rank` itself, provided that a Jacobian of width d has that many triplets.
  ///
  /// Throws `CouplingRankError` otherwise.
  public static func fixed(_ rank: Int, width d: Int) throws(CouplingRankError) -> Int {
    guard rank >= 1, rank <= d else { throw .outOfRange(rank: rank, width: d) }
    return rank
  }

  /// ⌊p d⌋ for the decimal number that p was written as: 0.29 of 100 is 29, although 0.29 · 100 < 29 in binary.
  ///
  /// Throws `CouplingRankError` unless 0 < p ≤ 1 and ⌊p d⌋ ≥ 1.
  public static func share(_ p: Double, width d: Int) throws(CouplingRankError) -> Int {
    guard p > 0, p <= 1 else { throw .shareOutOfRange(share: p) }
    // Both p and p · d are rounded, each by at most half an ulp.
    return try fixed(min(d, Int((Double(d) * p * (1 + 2 * .ulpOfOne)).rounded(.down))), width: d)
  }
}

/// A rank that no Jacobian of this width has.
public enum CouplingRankError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The rank is not in 1…d.
  case outOfRange(rank: Int, width: Int)
  /// The share of the width is not in (0, 1].
  case shareOutOfRange(share: Double)

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .outOfRange(let rank, let width):
      "rank \(rank) is not in 1…\(width), where \(width) is the model's width; choose a rank in this range"
    case .shareOutOfRange(let share):
      "a rank share of \(share) is not in (0, 1]; choose one in this range, such as 0.01 for a hundredth "
        + "of the width"
    }
  }
}
