import Analysis
public import Alignment

/// One number in two runs.
public struct QuantityComparison: Encodable, Sendable {
  /// Whether the two runs can be told apart by it.
  public enum Standing: String, Codable, Sendable {
    /// The paired test over the prompts of both says so, at the level `significance`.
    case apart
    /// It does not.
    case together
    /// It is not judged: `unjudged` says why.
    case unknown
  }

  /// Two-sided p below which two runs stand apart.
  public static let significance = 0.05

  /// What it is.
  public let name: String
  /// The means and their intervals, over the prompts of which both runs have the number.
  public let first, second: PromptMean
  /// For coupling, the level at which it says nothing.
  @Nullable public var firstNull: Double?
  /// Of the second run.
  @Nullable public var secondNull: Double?
  /// Second − first.
  public let difference: Double
  /// What the paired test says.
  public let standing: Standing
  /// Why nothing is said of the difference; null where `standing` says it.
  @Nullable public var unjudged: String?
  /// Prompt by prompt; null for fewer than 2 prompts in common, and where the two are not the same quantity.
  @Nullable public var paired: PairedDifference?

  /// Whether it is the same number on every prompt.
  var isSame: Bool { first.count > 0 && first.perPrompt == second.perPrompt }

  /// Of one number per prompt; `arePaired` says that they belong together one to one, and `unjudged` why no difference is
  /// judged, if none may be. nil when a run does not have the number.
  init?(_ name: String, _ a: PromptMean, _ b: PromptMean, arePaired: Bool, unjudged: String?) {
    var (a, b) = (a, b)
    if arePaired {
      let pairs = zip(a.perPrompt, b.perPrompt).map { x, y in x.flatMap { x in y.map { (x, $0) } } }
      (a, b) = (
        PromptMean(pairs.map { $0?.0 }, bounds: a.perPromptBound),
        PromptMean(pairs.map { $0?.1 }, bounds: b.perPromptBound)
      )
    }
    guard let x = a.mean, let y = b.mean, (y - x).isFinite else { return nil }
    (self.name, first, second, difference) = (name, a, b, y - x)
    let paired =
      arePaired && unjudged == nil
      ? PairedDifference(from: a.perPrompt.compactMap { $0 }, to: b.perPrompt.compactMap { $0 })
      : nil
    let reason =
      unjudged ?? (arePaired ? nil : "the means are of different prompts")
      ?? (paired == nil ? "of one prompt there is no interval" : nil)
    if let paired {
      standing = paired.pValue < Self.significance ? .apart : .together
    } else {
      standing = .unknown
    }
    (self.paired, self.unjudged) = (paired, reason)
  }
}
