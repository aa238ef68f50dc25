import Autodiff
import LinearAlgebra

/// A mixture of experts: Σₑ wₑ(x) expertₑ(x) over those a token chooses, w being the routing's weights of the router's
/// logits, and what experts shared by all tokens add. Only experts that some row chose are evaluated.
public struct ExpertMixture: FeedForward {
  /// From the width of the stream to a logit for each expert.
  public var router: LinearWeights
  /// Which experts a token chooses, and their weights.
  public var routing: ExpertRouting
  /// The experts among which tokens choose.
  public var experts: [any FeedForward]
  /// What all tokens go through besides.
  public var shared: (any FeedForward)?
  /// To the logit of the logistic factor of what is shared, where there is one.
  public var sharedGate: LinearWeights?
  /// Whether weights multiply the experts' inputs instead of their outputs, as in Llama 4.
  public var scalesInput: Bool

  /// A mixture; its arguments are its properties.
  public init(
    router: LinearWeights, routing: ExpertRouting, experts: [any FeedForward],
    shared: (any FeedForward)? = nil, sharedGate: LinearWeights? = nil, scalesInput: Bool = false
  ) {
    self.router = router
    self.routing = routing
    self.experts = experts
    self.shared = shared
    self.sharedGate = sharedGate
    self.scalesInput = scalesInput
  }

  /// The output for every row.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let (isChosen, weights) = routing(router(x))
    var parts = experts.indices.compactMap { e -> Variable<S>? in
      let rows = (0..<x.rows).filter { isChosen[e][$0] }
      guard !rows.isEmpty else { return nil }
      let weight = { (columns: Int) in
        weights.rows(rows).gather(columns: Array(repeating: e, count: columns))
      }
      let taken = x.rows(rows)
      if scalesInput {
        return experts[e](weight(x.columns) * taken).scatter(to: rows, of: x.rows)
      }
      let y = experts[e](taken)
      return (weight(y.columns) * y).scatter(to: rows, of: x.rows)
    }
    if let shared {
      let y = shared(x)
      let factor = sharedGate.map {
        $0(x).activated(by: .logistic).gather(columns: Array(repeating: 0, count: y.columns))
      }
      parts.append(factor.map { $0 * y } ?? y)
    }
    return parts.dropFirst().reduce(parts[0], +)
  }
}
