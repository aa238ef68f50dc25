import Autodiff
import LinearAlgebra
import Processes

/// The block of nearly all families: a mixer and an MLP with norms around them, in one of four arrangements.
///
/// Blocks of one model may differ in any of this. A block may have only one half; the other then adds nothing.
public struct DecoderBlock: ResidualBlock {
  /// The order of norms and sums. `norm` and `after` are the identity where a family has no such norm.
  public enum Arrangement: Sendable {
    /// Z = X + after(mixer(norm X)), F = Z + after′(mlp(norm′ Z)).
    case sequential
    /// F = X + after(mixer(norm X)) + after′(mlp(norm′ X)).
    case parallel
    /// Z = norm(X + mixer X), F = norm′(Z + mlp Z).
    case normAfter
    /// Z = norm X + mixer(norm X), F = norm′ Z + mlp(norm′ Z).
    case normedStream
  }

  /// The order of norms and sums.
  public var arrangement: Arrangement
  /// The half in which tokens see each other.
  public var mixerNorm: (any NormWeights)?
  /// What lets tokens see each other.
  public var mixer: (any Mixer)?
  /// The norm of what the mixer adds to the stream.
  public var afterMixer: (any NormWeights)?
  /// The norm of the MLP's half.
  public var feedForwardNorm: (any NormWeights)?
  /// The half that acts token by token.
  public var feedForward: (any FeedForward)?
  /// The norm of what the MLP adds to the stream.
  public var afterFeedForward: (any NormWeights)?
  /// The factor of what each half adds to the stream.
  public var residualScale: Double
  /// What the block adds to the stream after both halves, computed from the stream and a side input; nil in most.
  public var perLayer: PerLayerInput?
  /// The factor s of the stream at the block's end: F ↦ s F.
  public var outputScale: Double
  /// The team that holds the block together, of which mixer and MLP are one member's parts; nil if they are whole.
  private(set) var team: (any Communicator)?
  /// The number of heads of all members.
  private var teamHeads = 0

  /// Creates a block from its properties.
  public init(
    _ arrangement: Arrangement = .sequential, mixerNorm: (any NormWeights)? = nil,
    mixer: (any Mixer)?, afterMixer: (any NormWeights)? = nil,
    feedForwardNorm: (any NormWeights)? = nil,
    feedForward: (any FeedForward)?, afterFeedForward: (any NormWeights)? = nil,
    residualScale: Double = 1, perLayer: PerLayerInput? = nil, outputScale: Double = 1
  ) {
    self.arrangement = arrangement
    self.mixerNorm = mixerNorm
    self.mixer = mixer
    self.afterMixer = afterMixer
    self.feedForwardNorm = feedForwardNorm
    self.feedForward = feedForward
    self.afterFeedForward = afterFeedForward
    self.residualScale = residualScale
    (self.perLayer, self.outputScale) = (perLayer, outputScale)
  }

  /// Whether both halves read X.
  public var isParallel: Bool { arrangement == .parallel }

  /// The number of attention heads of its mixer.
  public var headCount: Int { team == nil ? mixer?.heads ?? 0 : teamHeads }

  /// The number of experts among which its tokens choose.
  public var expertCount: Int { feedForward?.chosenTensors?.count ?? 0 }

  /// Z − X.
  public func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    guard let mixer else { return nothing(like: x.target) }
    if arrangement == .normAfter {
      return normalized(
        x.target + scaled(summed(x) { mixer($0, in: context) }), by: mixerNorm) - x.target
    }
    let h = x.map { normalized($0, by: mixerNorm) }
    let mixed = scaled(normalized(summed(h) { mixer($0, in: context) }, by: afterMixer))
    return arrangement == .normedStream ? h.target + mixed - x.target : mixed
  }

  /// F − Z, including the side input and the factor of the stream.
  public func mlp<S: RealScalar>(
    _ z: Variable<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    var added = mlp(z)
    if let perLayer, let input = context.sideInput { added = added + perLayer(z + added, input) }
    return outputScale == 1 ? added : S(outputScale) * (z + added) - z
  }

  /// F − Z; in a parallel block as a function of X.
  public func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S> {
    guard let feedForward else { return nothing(like: z) }
    if arrangement == .normAfter {
      return normalized(
        z + scaled(summed(ResidualStream(z)) { feedForward($0.target) }), by: feedForwardNorm) - z
    }
    let h = normalized(z, by: feedForwardNorm)
    let added = scaled(
      normalized(summed(ResidualStream(h)) { feedForward($0.target) }, by: afterFeedForward))
    return arrangement == .normedStream ? h + added - z : added
  }

  /// The sum of both halves; where both read X and nothing follows them, a team needs one sum for the two.
  public func update<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let isOneSum = isParallel && afterMixer == nil && afterFeedForward == nil && perLayer == nil
    if team != nil, isOneSum, outputScale == 1 {
      var part = self
      part.team = nil
      return summed(x) { part.update($0, in: context) }
    }
    let attended = attention(x, in: context)
    return attended + mlp(isParallel ? x.target : x.target + attended, in: context)
  }

  /// The block of which mixer and MLP are the member's parts; nil if either cannot be divided.
  func part(_ slice: Slice, of team: any Communicator) -> DecoderBlock? {
    var part = self
    part.mixer = mixer?.part(slice)
    part.feedForward = feedForward?.part(slice)
    guard (part.mixer == nil) == (mixer == nil), (part.feedForward == nil) == (feedForward == nil)
    else { return nil }
    (part.team, part.teamHeads) = (team, headCount)
    return part
  }

  /// The sum over the team of a function of x that each member computes its part of.
  private func summed<S: RealScalar>(
    _ x: ResidualStream<S>, _ part: (ResidualStream<S>) -> Variable<S>
  ) -> Variable<S> {
    guard let team else { return part(x) }
    let shared = x.map { $0.shared(over: team) }
    return part(shared).summed(over: team, of: [shared.source, shared.target])
  }

  private func nothing<S: RealScalar>(like x: Variable<S>) -> Variable<S> {
    Variable(Matrix(rows: x.rows, columns: x.columns))
  }

  private func normalized<S: RealScalar>(
    _ x: Variable<S>, by norm: (any NormWeights)?
  ) -> Variable<S> { norm?(x) ?? x }

  private func scaled<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    residualScale == 1 ? x : S(residualScale) * x
  }
}

extension DecoderBlock.Arrangement {
  /// The text of f for blocks without the norms called `after`.
  public var residual: String {
    switch self {
    case .sequential:
      "f(X) = attention(norm X) + mlp(norm Z), Z = X + attention(norm X); "
        + "the block's input is not normalised"
    case .parallel:
      "f(X) = F(X) − X = attention(norm X) + mlp(norm X); both halves read the block's input, "
        + "and the sites attention and mlp are both at X"
    case .normAfter:
      "f(X) = F(X) − X, Z = norm(X + attention X), F = norm(Z + mlp Z); the stream itself is "
        + "normalised, so f also contains what the norms remove"
    case .normedStream:
      "f(X) = F(X) − X, Z = norm X + attention(norm X), F = norm Z + mlp(norm Z); the stream "
        + "itself is normalised, so f also contains what the norms remove"
    }
  }
}
