public import Alignment

/// One number in two runs.
public struct QuantityComparison: Encodable, Sendable {
  /// Whether two means are known well enough to be told apart.
  public enum Standing: String, Codable, Sendable {
    /// The intervals of the means have nothing in common.
    case apart
    /// They have.
    case together
    /// One of the means has no interval: it is of a single prompt.
    case unknown
  }

  /// What it is.
  public let name: String
  /// The means and their intervals.
  public let first, second: PromptMean
  /// For coupling, the level at which it says nothing.
  @Nullable public var firstNull: Double?
  /// Of the second run.
  @Nullable public var secondNull: Double?
  /// Second − first.
  public let difference: Double
  /// Whether they stand apart by more than their intervals.
  public let standing: Standing
  /// Prompt by prompt; null for fewer than 2 prompts in common.
  @Nullable public var paired: PairedDifference?

  /// nil when a run does not have the number.
  init?(_ name: String, _ a: PromptMean, _ b: PromptMean, _ pairs: [(Int, Int)]) {
    guard let x = a.mean, let y = b.mean, (y - x).isFinite else { return nil }
    (self.name, first, second, difference) = (name, a, b, y - x)
    if let i = a.interval, let j = b.interval {
      standing = i.upper < j.lower || j.upper < i.lower ? .apart : .together
    } else {
      standing = .unknown
    }
    let known = pairs.compactMap { i, j -> (Double, Double)? in
      // A file may have fewer numbers than prompts.
      guard i < a.perPrompt.count, j < b.perPrompt.count, let x = a.perPrompt[i],
        let y = b.perPrompt[j]
      else { return nil }
      return (x, y)
    }
    paired = PairedDifference(from: known.map(\.0), to: known.map(\.1))
  }
}
