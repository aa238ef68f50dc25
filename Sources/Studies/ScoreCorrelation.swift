import Analysis
public import Alignment
import Foundation

/// The correlation of a quantity of several models with their scores, compared with that of the models' sizes.
///
///     score ≈ intercept + slope · x,    rivals of x: ln(parameters), depth, ln(width)
///
/// The line is the statistic in the figure of Aubry et al., arXiv 2407.07810; the other statistics are additions.
public struct ScoreCorrelation: Codable, Sendable {
  /// A model's numbers.
  public struct Point: Sendable {
    /// x for each prompt; the mean is the model's x.
    public var perPrompt: [Double]
    /// The model's score.
    public var score: Double
    /// The number of weights.
    public var parameters: Int
    /// The number of blocks.
    public var depth: Int
    /// The width.
    public var width: Int

    /// Creates a point.
    public init(perPrompt: [Double], score: Double, parameters: Int, depth: Int, width: Int) {
      self.perPrompt = perPrompt
      self.score = score
      self.parameters = parameters
      self.depth = depth
      self.width = width
    }
  }

  /// A predictor that needs no Jacobian.
  public struct Rival: Codable, Sendable {
    /// `ln(parameters)`, `depth` or `ln(width)`.
    public let name: String
    /// The correlation with the score; null if it is the same for all models.
    @Nullable public var correlation: Correlation?
  }

  /// The models above a score.
  public struct Above: Codable, Sendable {
    /// The threshold.
    public let threshold: Double
    /// The number of models above it.
    public let count: Int
    /// Their correlation; null for fewer than 3.
    @Nullable public var correlation: Correlation?
  }

  /// The number of models.
  public let count: Int
  /// Pearson's r, R², the line and p; null, like all others, for fewer than 3 models or constant numbers.
  @Nullable public var pearson: Correlation?
  /// Spearman's ρ.
  @Nullable public var spearman: RankCorrelation?
  /// The partial correlation given ln(width).
  @Nullable public var partial: PartialCorrelation?
  /// Predictors that need no Jacobians.
  public let rivals: [Rival]
  /// The bootstrap interval of r over models.
  @Nullable public var intervalOverModels: BootstrapInterval?
  /// The bootstrap interval of r over each model's prompts; null if no model has two.
  @Nullable public var intervalOverPrompts: BootstrapInterval?
  /// The models above a score, if a threshold was given.
  @Nullable public var above: Above?

  /// The correlation over some models, each with at least one prompt.
  public init(_ points: [Point], above threshold: Double? = nil) {
    let mean = { (values: [Double]) in values.reduce(0, +) / Double(values.count) }
    let (x, y) = (points.map { mean($0.perPrompt) }, points.map(\.score))
    let logWidth = points.map { log(Double($0.width)) }
    count = points.count
    pearson = Correlation(x, y)
    spearman = RankCorrelation(x, y)
    partial = PartialCorrelation(x, y, given: logWidth)
    rivals = [
      ("ln(parameters)", points.map { log(Double($0.parameters)) }),
      ("depth", points.map { Double($0.depth) }), ("ln(width)", logWidth),
    ].map { Rival(name: $0, correlation: Correlation($1, y)) }
    // The intervals are bootstrapped: the models are not a sample of one distribution, and there is no simple theory of how
    // prompts affect r through the means of several models.
    intervalOverModels = BootstrapInterval(count: points.count) { draw in
      Correlation(draw.map { x[$0] }, draw.map { y[$0] })?.r
    }
    intervalOverPrompts = BootstrapInterval(strata: points.map(\.perPrompt.count)) { draws in
      Correlation(zip(points, draws).map { p, draw in mean(draw.map { p.perPrompt[$0] }) }, y)?.r
    }
    above = threshold.map { threshold in
      Above(
        threshold: threshold, count: y.count { $0 > threshold },
        correlation: Correlation(x, y, above: threshold))
    }
  }
}
