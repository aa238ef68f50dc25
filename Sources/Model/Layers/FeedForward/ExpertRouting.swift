import Autodiff
import Foundation
import LinearAlgebra

/// A token's choice of experts by the router's logits, and their weights.
///
/// The score s of an expert is the soft-max of the logits or the logistic function σ of its own logit. The experts
/// with the largest s + correction are chosen, only within the groups chosen first if there are groups. The weights
/// are s, divided by the sum over the chosen experts if `isNormalised`, times `factor`. The choice is held, since it
/// is constant near almost every point; the weights are differentiated. Jiang et al., arXiv 2401.04088; DeepSeek-AI,
/// arXiv 2405.04434 and 2412.19437.
public struct ExpertRouting: Sendable {
  /// The function from logits to scores.
  public enum Score: Equatable, Sendable {
    /// The soft-max of all logits.
    case softmax
    /// The logistic function 1 / (1 + e^−logit) of the expert's own logit.
    case sigmoid
    /// For two experts, chosen one after the other: the share of the best remaining expert in the soft-max over those
    /// whose logits x are near its logit m, (m − x) / max(|x|, m) ≤ the tolerance. Liu et al., arXiv 2409.12136.
    case near(Double)
  }

  /// Groups of neighbouring experts, of which a token first chooses some.
  public struct Groups: Sendable {
    /// The number of groups, all of the same size.
    public var count: Int
    /// The number of groups that a token chooses.
    public var chosen: Int
    /// The number of largest scores that are summed to a group's score: 1 for the maximum.
    public var best: Int

    /// Creates groups from their properties.
    public init(count: Int, chosen: Int, best: Int) {
      (self.count, self.chosen, self.best) = (count, chosen, best)
    }
  }

  /// The function from logits to scores.
  public var score: Score
  /// The number of experts that a token chooses.
  public var chosen: Int
  /// Whether weights are divided by their sum over the chosen experts.
  public var isNormalised: Bool
  /// The constant added to that sum of logistic scores.
  public var epsilon = 0.0
  /// The factor of the weights.
  public var factor: Double
  /// A factor of each expert's weight, if they have one.
  public var expertFactors: [Float]?
  /// A correction added to every expert's score for the choice only, not for the weights.
  public var correction: [Float]?
  /// The groups of experts; nil if there are none.
  public var groups: Groups?

  /// Creates a routing from its properties.
  public init(
    _ score: Score = .softmax, chosen: Int, isNormalised: Bool = true, factor: Double = 1,
    expertFactors: [Float]? = nil,
    correction: [Float]? = nil, groups: Groups? = nil
  ) {
    self.score = score
    self.chosen = chosen
    self.isNormalised = isNormalised
    self.factor = factor
    self.expertFactors = expertFactors
    self.correction = correction
    self.groups = groups
  }

  /// The choice of experts for logits (rows, experts), as [expert][row], and the weights (rows, experts) of the
  /// chosen ones; the weights of other experts are unspecified.
  public func callAsFunction<S: RealScalar>(
    _ logits: Variable<S>
  ) -> (isChosen: [[Bool]], weights: Variable<S>) {
    let isChosen: [[Bool]]
    var weights: Variable<S>
    if case .near(let tolerance) = score {
      (isChosen, weights) = shares(logits, tolerance)
    } else {
      isChosen = choice(logits.value)
      weights = self.weights(logits, isChosen)
    }
    if let expertFactors { weights = weights.scaled(by: expertFactors.map { S($0) }) }
    return (isChosen, factor == 1 ? weights : S(factor) * weights)
  }

  /// The weights for `near`: of every row's two best experts, one after the other.
  private func shares<S: RealScalar>(
    _ logits: Variable<S>, _ tolerance: Double
  ) -> (isChosen: [[Bool]], weights: Variable<S>) {
    let values = logits.value
    let best = (0..<values.rows).map { row in
      Array(largest(2, of: values.row(row).map { Double($0) }))
    }
    func share(_ place: Int) -> Variable<S> {
      var i = -1
      let shares = logits.map { logit in
        i += 1
        let (row, expert) = (i % logits.rows, i / logits.rows)
        let (x, top) = (Double(logit), Double(values[row, best[row][place]]))
        let isLeft = !best[row][..<place].contains(expert)
        // 0 / 0 counts as near.
        let isFar = (top - x) / max(abs(x), top) > tolerance
        return isLeft && !isFar ? (logit, 1) : (-.infinity, 0)
      }.softmax()
      i = -1
      return shares.map { p in
        i += 1
        return best[i % logits.rows][place] == i / logits.rows ? (p, 1) : (0, 0)
      }
    }
    let isChosen = (0..<logits.columns).map { e in best.map { $0.contains(e) } }
    return (isChosen, share(0) + share(1))
  }

  private func weights<S: RealScalar>(
    _ logits: Variable<S>, _ isChosen: [[Bool]]
  ) -> Variable<S> {
    guard isNormalised else {
      return score == .softmax ? logits.softmax() : logits.activated(by: .logistic)
    }
    // Dividing scores by their sum is a soft-max of their logarithms, with −∞ for experts that were not chosen, so
    // that their score and derivative are 0. For soft-max scores the logits themselves will do, which differ from the
    // logarithms by one number per row; for logistic scores it is log σ, whose derivative is σ(−logit). The constant
    // added to the sum is one more score that belongs to no expert.
    let all = epsilon > 0 ? logits.gather(columns: Array(0..<logits.columns) + [0]) : logits
    var i = -1
    return all.map { logit in
      i += 1
      let e = i / logits.rows
      guard e < isChosen.count else { return (S(Double.log(epsilon)), 0) }
      guard isChosen[e][i % logits.rows] else { return (-.infinity, 0) }
      return score == .softmax ? (logit, 1) : Self.logarithmOfLogistic(logit)
    }.softmax()
  }

  /// log σ(x) = min(x, 0) − log(1 + e^−|x|), and its derivative.
  private static func logarithmOfLogistic<S: RealScalar>(
    _ x: S
  ) -> (value: S, derivative: S) {
    let small = Double.exp(-abs(Double(x)))
    let value = min(Double(x), 0) - log1p(small)
    return (S(value), S((x < 0 ? 1 : small) / (1 + small)))
  }

  /// Whether a row chooses an expert, [expert][row]. Of equal ones the first is chosen.
  private func choice<S: RealScalar>(_ logits: Matrix<S>) -> [[Bool]] {
    var result = Array(
      repeating: Array(repeating: false, count: logits.rows), count: logits.columns)
    for row in 0..<logits.rows {
      let order = largest(chosen, of: ranks(logits.row(row).map { Double($0) }))
      for e in order { result[e][row] = true }
    }
    return result
  }

  /// The numbers that experts are chosen by: their corrected scores, and −∞ outside the chosen groups. Without
  /// correction and groups the logits are enough, since scores increase with them.
  private func ranks(_ logits: [Double]) -> [Double] {
    guard correction != nil || groups != nil else { return logits }
    var ranks = logits.map { 1 / (1 + Double.exp(-$0)) }
    if score == .softmax {
      let top = logits.max() ?? 0
      let powers = logits.map { Double.exp($0 - top) }
      let sum = powers.reduce(0, +)
      ranks = powers.map { $0 / sum }
    }
    if let correction { ranks = zip(ranks, correction).map { $0 + Double($1) } }
    guard let groups else { return ranks }
    let size = ranks.count / groups.count
    let members = { (g: Int) in g * size..<(g + 1) * size }
    let sums = (0..<groups.count).map { g in
      ranks[members(g)].sorted(by: >).prefix(groups.best).reduce(0, +)
    }
    let open = Set(largest(groups.chosen, of: sums))
    for g in 0..<groups.count where !open.contains(g) {
      for e in members(g) { ranks[e] = -.infinity }
    }
    return ranks
  }

  private func largest(_ count: Int, of values: [Double]) -> ArraySlice<Int> {
    values.indices.sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
      .prefix(count)
  }
}
