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
  public var experts: Experts
  /// What all tokens go through besides.
  public var shared: (any FeedForward)?
  /// To the logit of the logistic factor of what is shared, where there is one.
  public var sharedGate: LinearWeights?
  /// The norm of what the router reads, where it has one of its own.
  public var routerNorm: (any NormWeights)?
  /// The norm of what the experts read, likewise.
  public var expertNorm: (any NormWeights)?
  /// Whether weights multiply the experts' inputs instead of their outputs, as in Llama 4.
  public var scalesInput: Bool

  /// The maps to a narrower stream, which the experts have for themselves, and back from their sum, where there is one.
  public var latent: Latent?

  /// Two maps around the experts.
  public struct Latent: Sendable {
    /// From the width of the stream.
    public var down: LinearWeights
    /// Back to it.
    public var up: LinearWeights

    /// Two maps.
    public init(down: LinearWeights, up: LinearWeights) { (self.down, self.up) = (down, up) }
  }

  /// Experts, each of which is asked for when some token has chosen it.
  public struct Experts: Sendable {
    /// What the file calls their tensors, if they are in one.
    public var tensors: [String]
    /// One of them.
    public var expert: @Sendable (Int) -> any FeedForward

    /// Experts; the arguments are the properties.
    public init(tensors: [String] = [], _ expert: @escaping @Sendable (Int) -> any FeedForward) {
      (self.tensors, self.expert) = (tensors, expert)
    }
  }

  /// A mixture; its arguments are its properties.
  public init(
    router: LinearWeights, routing: ExpertRouting, experts: Experts,
    shared: (any FeedForward)? = nil, sharedGate: LinearWeights? = nil,
    routerNorm: (any NormWeights)? = nil, expertNorm: (any NormWeights)? = nil,
    scalesInput: Bool = false
  ) {
    self.router = router
    (self.routerNorm, self.expertNorm) = (routerNorm, expertNorm)
    self.routing = routing
    self.experts = experts
    self.shared = shared
    self.sharedGate = sharedGate
    self.scalesInput = scalesInput
  }

  /// What f is in blocks of Llama with experts in the place of the MLP, and in those that share one besides, for people.
  static let residual =
    "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z), Z = X + attention(norm X)"
  static let sharedResidual =
    "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z) + shared(norm Z), Z = X + attention(norm X)"

  /// What there is to know of a mixture's Jacobian, for people.
  public static func note(chosen: Int, of count: Int) -> String {
    "the choice of \(chosen) of \(count) experts is held constant, their weights w are not"
  }

  /// Those of the experts.
  public var chosenTensors: ChosenTensors? {
    ChosenTensors(names: experts.tensors, chosen: routing.chosen, of: router.outputs)
  }

  /// The output for every row.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let (isChosen, weights) = routing(router((routerNorm?(x) ?? x).asGate))
    let h = expertNorm?(x) ?? x
    let inner = latent?.down(h) ?? h
    var parts = isChosen.indices.compactMap { e -> Variable<S>? in
      let rows = (0..<x.rows).filter { isChosen[e][$0] }
      guard !rows.isEmpty else { return nil }
      let expert = experts.expert(e)
      let weight = { (columns: Int) in
        weights.rows(rows).gather(columns: Array(repeating: e, count: columns))
      }
      let taken = inner.rows(rows)
      var y = expert(scalesInput ? weight(taken.columns) * taken : taken)
      if !scalesInput { y = weight(y.columns) * y }
      if let only = x.rules.expert, only != e { y = y.detached }
      return y.scatter(to: rows, of: x.rows)
    }
    if let latent { parts = [latent.up(parts.dropFirst().reduce(parts[0], +))] }
    if let shared {
      let y = shared(x)
      let factor = sharedGate.map {
        $0(x.asGate).activated(by: .logistic).gather(columns: Array(repeating: 0, count: y.columns))
      }
      let added = factor.map { $0 * y } ?? y
      parts.append(x.rules.expert == nil ? added : added.detached)
    }
    return parts.dropFirst().reduce(parts[0], +)
  }
}

/// Tensors of which a token needs a part: those of the experts of a block.
public struct ChosenTensors: Sendable {
  /// What the file calls them.
  public let names: [String]
  /// Experts a token chooses.
  public let chosen: Int
  /// Experts there are, all of a size.
  public let count: Int

  /// Tensors of `count` experts.
  public init(names: [String], chosen: Int, of count: Int) {
    (self.names, self.chosen, self.count) = (names, chosen, count)
  }

  /// Of so many bytes or numbers in these tensors, those that some tokens can need.
  public func part(of size: Int, tokens: Int) -> Int {
    let needed = tokens > count / chosen ? count : min(count, tokens * chosen)
    // In two parts: the product of a size and a number of experts may not fit.
    return size / count * needed + size % count * needed / count
  }
}
