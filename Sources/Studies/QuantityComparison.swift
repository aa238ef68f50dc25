import Analysis
public import Alignment

/// The comparison of one number between two runs.
public struct QuantityComparison: Encodable, Sendable {
  /// Whether the two runs differ significantly in this number.
  public enum Standing: String, Codable, Sendable {
    /// They differ, by the paired test over common prompts at the level `significance`.
    case apart
    /// The test finds no difference.
    case together
    /// No test was made; `unjudged` says why.
    case unknown
  }

  /// The two-sided p-value below which two runs differ.
  public static let significance = 0.05

  /// The name of the number.
  public let name: String
  /// The means and their intervals, over the prompts for which both runs have the number.
  public let first, second: PromptMean
  /// For coupling, the null level of the first run.
  @Nullable public var firstNull: Double?
  /// For coupling, the null level of the second run.
  @Nullable public var secondNull: Double?
  /// The second mean minus the first.
  public let difference: Double
  /// The outcome of the paired test.
  public let standing: Standing
  /// Why the difference was not tested; null if it was.
  @Nullable public var unjudged: String?
  /// The paired differences; null for fewer than 2 common prompts, and if the two are not the same quantity.
  @Nullable public var paired: PairedDifference?

  /// Whether the number is the same on every prompt.
  var isSame: Bool { first.count > 0 && first.perPrompt == second.perPrompt }

  /// Compares one number per prompt; `arePaired` says that the prompts of both correspond one to one, and `unjudged` why the
  /// difference must not be tested, if so. nil if a run does not have the number.
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
      unjudged ?? (arePaired ? nil : "the means are over different prompts")
      ?? (paired == nil ? "one prompt gives no interval" : nil)
    if let paired {
      standing = paired.pValue < Self.significance ? .apart : .together
    } else {
      standing = .unknown
    }
    (self.paired, self.unjudged) = (paired, reason)
  }
}
