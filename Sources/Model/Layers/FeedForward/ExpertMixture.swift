import Autodiff
import LinearAlgebra

/// A mixture of experts: Σₑ wₑ(x) expertₑ(x) over the experts that a token chooses, where w are the routing's weights
/// of the router's logits, plus the output of experts shared by all tokens. Only experts chosen by some row are
/// evaluated.
public struct ExpertMixture: FeedForward {
  /// The map from the width of the stream to a logit for each expert.
  public var router: LinearWeights
  /// The choice of experts and their weights.
  public var routing: ExpertRouting
  /// The experts among which tokens choose.
  public var experts: Experts
  /// The expert that all tokens share, if there is one.
  public var shared: (any FeedForward)?
  /// The map to the logit of a logistic factor of the shared expert's output, if it has one.
  public var sharedGate: LinearWeights?
  /// The norm of the router's input, if it has one of its own.
  public var routerNorm: (any NormWeights)?
  /// The norm of the experts' input, if they have one of their own.
  public var expertNorm: (any NormWeights)?
  /// Whether weights multiply the experts' inputs instead of their outputs, as in Llama 4.
  public var scalesInput: Bool

  /// The maps to a narrower stream for the experts, and back from their sum; nil if they read the full stream.
  public var latent: Latent?

  /// The two maps around the experts.
  public struct Latent: Sendable {
    /// The map from the width of the stream.
    public var down: LinearWeights
    /// The map back to the width of the stream.
    public var up: LinearWeights

    /// Creates the maps around the experts.
    public init(down: LinearWeights, up: LinearWeights) { (self.down, self.up) = (down, up) }
  }

  /// The experts, each created when some token has chosen it.
  public struct Experts: Sendable {
    /// The names in the file of the tensors that contain all experts, if they are stored together.
    public var tensors: [String]
    /// Creates the expert with a given index.
    public var expert: @Sendable (Int) -> any FeedForward

    /// Creates experts from their properties.
    public init(tensors: [String] = [], _ expert: @escaping @Sendable (Int) -> any FeedForward) {
      (self.tensors, self.expert) = (tensors, expert)
    }
  }

  /// Creates a mixture from its properties.
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

  /// The text of f for Llama-like blocks with experts in place of the MLP; below, for those with a shared one as
  /// well.
  static let residual =
    "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z), Z = X + attention(norm X)"
  static let sharedResidual =
    "f(X) = attention(norm X) + Σ wₑ expertₑ(norm Z) + shared(norm Z), Z = X + attention(norm X)"

  /// What readers should know about a mixture's Jacobian.
  public static func note(chosen: Int, of count: Int) -> String {
    "the choice of \(chosen) of \(count) experts is held constant, their weights w are not"
  }

  /// The tensors of the experts.
  public var chosenTensors: ChosenTensors? {
    ChosenTensors(names: experts.tensors, chosen: routing.chosen, of: router.outputs)
  }

  /// The output for every row of x.
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

  /// The member's hidden units of every expert. Each member has the whole router, which gives the same choice and the
  /// same weights everywhere.
  public func part(_ slice: Slice) -> (any FeedForward)? {
    guard experts.expert(0).part(slice) != nil else { return nil }
    var part = self
    part.shared = shared?.part(slice)
    guard (part.shared == nil) == (shared == nil) else { return nil }
    part.experts = Experts(tensors: experts.tensors) { [experts] e in
      guard let expert = experts.expert(e).part(slice) else {
        preconditionFailure("the experts of a mixture are of one kind")
      }
      return expert
    }
    if slice.member > 0 { part.latent?.up.bias = nil }
    return part
  }
}

/// The tensors of a block's experts, of which a token needs only a part.
public struct ChosenTensors: Sendable {
  /// The names in the file.
  public let names: [String]
  /// The number of experts that a token chooses.
  public let chosen: Int
  /// The number of experts, all of the same size.
  public let count: Int

  /// Tensors that contain `count` experts.
  public init(names: [String], chosen: Int, of count: Int) {
    (self.names, self.chosen, self.count) = (names, chosen, count)
  }

  /// The part of `size`, in bytes or numbers, of these tensors that the given number of tokens can need at most.
  public func part(of size: Int, tokens: Int) -> Int {
    let needed = tokens > count / chosen ? count : min(count, tokens * chosen)
    // Computed in two parts, because size · needed could overflow.
    return size / count * needed + size % count * needed / count
  }
}
