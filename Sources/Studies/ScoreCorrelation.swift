import Analysis
public import Alignment
import Foundation

/// How a quantity of several models goes with their scores, beside what their mere sizes do.
///
///     score ≈ intercept + slope · x,    rivals of x: ln(parameters), depth, ln(width)
///
/// The first is the statistic of the figure of Aubry et al., arXiv 2407.07810; the rest are choices made here.
public struct ScoreCorrelation: Codable, Sendable {
  /// A model.
  public struct Point: Sendable {
    /// x of every prompt; its mean is the model's x.
    public var perPrompt: [Double]
    /// The score.
    public var score: Double
    /// Weights.
    public var parameters: Int
    /// Blocks.
    public var depth: Int
    /// Width.
    public var width: Int

    /// A model's numbers.
    public init(perPrompt: [Double], score: Double, parameters: Int, depth: Int, width: Int) {
      self.perPrompt = perPrompt
      self.score = score
      self.parameters = parameters
      self.depth = depth
      self.width = width
    }
  }

  /// A number that needs no Jacobian.
  public struct Rival: Codable, Sendable {
    /// `ln(parameters)`, `depth` or `ln(width)`.
    public let name: String
    /// With the score; null when all models have the same.
    @Nullable public var correlation: Correlation?
  }

  /// Models above a score.
  public struct Above: Codable, Sendable {
    /// The score.
    public let threshold: Double
    /// Models above it.
    public let count: Int
    /// Of these; null for fewer than 3.
    @Nullable public var correlation: Correlation?
  }

  /// Models.
  public let count: Int
  /// r, R², the line, p; null, like all the others, for fewer than 3 models or constant numbers.
  @Nullable public var pearson: Correlation?
  /// ρ.
  @Nullable public var spearman: RankCorrelation?
  /// What is left of r when ln(width) is known.
  @Nullable public var partial: PartialCorrelation?
  /// What does as well without Jacobians.
  public let rivals: [Rival]
  /// Of r, models drawn anew.
  @Nullable public var intervalOverModels: BootstrapInterval?
  /// Of r, every model's prompts drawn anew; null when no model has two.
  @Nullable public var intervalOverPrompts: BootstrapInterval?
  /// Models above a score, if one was named.
  @Nullable public var above: Above?

  /// Of some models, each with a prompt at least.
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
    // Resampled, as nothing simpler is known of an r over models that are no sample of one distribution, nor of how prompts move
    // it through the means of several models.
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
