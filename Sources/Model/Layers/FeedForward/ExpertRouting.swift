import Autodiff
import Foundation
import LinearAlgebra

/// How a token chooses some of a layer's experts by the router's logits, and what they weigh.
///
/// An expert's score s is the soft-max of the logits or the logistic function σ of its own. The experts of largest
/// s + correction are chosen, in those groups of experts alone that are chosen first; the weights are s, divided by the
/// chosen experts' sum if `isNormalised`, times `factor`. The choice is held constant, as it is near almost every point;
/// the weights are differentiated. Jiang et al., arXiv 2401.04088; DeepSeek-AI, arXiv 2405.04434 and 2412.19437.
public struct ExpertRouting: Sendable {
  /// How logits become scores.
  public enum Score: Equatable, Sendable {
    /// The soft-max of all logits.
    case softmax
    /// 1 / (1 + e^−logit) of an expert's own.
    case sigmoid
    /// Of two experts each: what the best one left has of the soft-max over those whose logits x are near to its m,
    /// (m − x) / max(|x|, m) ≤ the tolerance. Liu et al., arXiv 2409.12136.
    case near(Double)
  }

  /// Groups of neighbouring experts, of which a token first chooses some.
  public struct Groups: Sendable {
    /// Groups, all of the same size.
    public var count: Int
    /// Groups a token chooses.
    public var chosen: Int
    /// Experts whose scores, the largest ones, add up to a group's: 1 for its maximum.
    public var best: Int

    /// Groups.
    public init(count: Int, chosen: Int, best: Int) {
      (self.count, self.chosen, self.best) = (count, chosen, best)
    }
  }

  /// How logits become scores.
  public var score: Score
  /// Experts a token chooses.
  public var chosen: Int
  /// Whether weights are divided by their sum over the chosen experts.
  public var isNormalised: Bool
  /// What is added to that sum of logistic scores.
  public var epsilon = 0.0
  /// Factor of the weights.
  public var factor: Double
  /// Factor of an expert's weight of its own, if they have one.
  public var expertFactors: [Float]?
  /// What is added to every expert's score for the choice, and not for the weights.
  public var correction: [Float]?
  /// Groups of experts, if they are chosen first.
  public var groups: Groups?

  /// A routing; its arguments are its properties.
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

  /// Of logits (rows, experts) which experts each row chooses, [expert][row], and the weights (rows, experts) of those; what
  /// the weights of others are is left open.
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

  /// As `near` has it: of every row's two best experts, one after the other.
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
    // Scores by their sum are the soft-max of their logarithms, with those of experts that were not chosen at −∞, where
    // score and derivative are 0: of the logits themselves, which differ from log soft-max by one number per row, or of
    // log σ, whose derivative is σ(−logit). What is added to the sum is one more score, of nobody.
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

  /// Whether a row chooses an expert: [expert][row]. Of equals the first is chosen.
  private func choice<S: RealScalar>(_ logits: Matrix<S>) -> [[Bool]] {
    var result = Array(
      repeating: Array(repeating: false, count: logits.rows), count: logits.columns)
    for row in 0..<logits.rows {
      let order = largest(chosen, of: ranks(logits.row(row).map { Double($0) }))
      for e in order { result[e][row] = true }
    }
    return result
  }

  /// What experts are chosen by: their scores, corrected, and −∞ outside the chosen groups. Without either the logits do,
  /// which rise with the scores.
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
