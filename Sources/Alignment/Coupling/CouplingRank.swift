/// The rank K at which a coupling is computed: 1 ≤ K ≤ d.
public enum CouplingRank {
  /// `rank` itself, if a Jacobian of width d has that many triplets.
  ///
  /// Throws `CouplingRankError` otherwise.
  public static func fixed(_ rank: Int, width d: Int) throws(CouplingRankError) -> Int {
    guard rank >= 1, rank <= d else { throw .outOfRange(rank: rank, width: d) }
    return rank
  }

  /// ⌊p d⌋, of the decimal number p was written as: 0.29 of 100 is 29, though 0.29 · 100 < 29 in binary.
  ///
  /// Throws `CouplingRankError` unless 0 < p ≤ 1 and ⌊p d⌋ ≥ 1.
  public static func share(_ p: Double, width d: Int) throws(CouplingRankError) -> Int {
    guard p > 0, p <= 1 else { throw .shareOutOfRange(share: p) }
    // p and p · d are each rounded by at most half an ulp.
    return try fixed(min(d, Int((Double(d) * p * (1 + 2 * .ulpOfOne)).rounded(.down))), width: d)
  }
}

/// A rank no Jacobian of this width has.
public enum CouplingRankError: Error, Equatable, Sendable, CustomStringConvertible {
  /// K < 1 or K > d.
  case outOfRange(rank: Int, width: Int)
  /// A share of the width outside (0, 1].
  case shareOutOfRange(share: Double)

  /// What is wrong, and what to do.
  public var description: String {
    switch self {
    case .outOfRange(let rank, let width):
      "rank \(rank) is not in 1…\(width), the model's width; choose one that is"
    case .shareOutOfRange(let share):
      "a rank share of \(share) is not in (0, 1]; 0.01 asks for a hundredth of the width"
    }
  }
}
