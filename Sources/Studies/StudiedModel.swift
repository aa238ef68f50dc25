import Analysis

/// A run as a point of a study.
public struct StudiedModel: Encodable, Sendable {
  /// Whether it takes part.
  public enum Standing: String, Codable, Sendable {
    /// It takes part.
    case used
    /// The table of scores does not list it.
    case unlisted
    /// It is listed without a score.
    case noScore = "no-score"
    /// The quantity of the run is not defined.
    case noValue = "no-value"
  }

  /// The run folder.
  public let run: String
  /// The model's name.
  public let model: String
  /// The name under which its score is listed; null if there is none.
  @Nullable public var listedAs: String?
  /// The number of weights.
  public let parameters: Int
  /// The number of blocks.
  public let depth: Int
  /// The width.
  public let width: Int
  /// The rank K, for coupling.
  @Nullable public var rank: Int?
  /// The mean of the quantity over prompts.
  public let value: PromptMean
  /// The null level, for coupling.
  @Nullable public var null: Double?
  /// The score.
  @Nullable public var score: Double?
  /// Whether it takes part.
  public let standing: Standing

  init(_ run: StoredRun, _ measured: RunQuantity.Measured, _ scores: ScoreColumn) {
    let m = run.record.model
    self.run = run.path
    (model, parameters, depth, width) = (m.name, m.parameters, m.layers, m.width)
    value = measured.value
    var score: Double?
    switch scores[m.name] {
    case .score(let number):
      score = number
      standing = measured.value.mean == nil ? .noValue : .used
    case .empty: standing = .noScore
    case .unlisted: standing = .unlisted
    }
    rank = measured.coupling?.setting.rank
    null = measured.coupling?.null
    self.score = score
    listedAs = scores.name(of: m.name)
  }

  /// Its point in the study, with one number per different prompt; nil if it does not take part.
  func point(_ observations: [Double]) -> ScoreCorrelation.Point? {
    guard standing == .used, let score, !observations.isEmpty else { return nil }
    return ScoreCorrelation.Point(
      perPrompt: observations, score: score, parameters: parameters, depth: depth, width: width)
  }
}
