/// The tokens between `sources` and `targets` whose features depend on those of the sources through a causal
/// convolution.
public struct TokenReach: Hashable, Sendable {
  /// The tokens whose features may vary, ascending.
  public let sources: [Int]
  /// The tokens within the width of the convolution from some source, up to the last target, and all targets;
  /// ascending.
  public let tokens: [Int]
  /// The indices of the targets in `tokens`, ascending.
  public let targetPlaces: [Int]

  /// The reach from `sources` to `targets`, both ascending, through a convolution over `width` tokens.
  public init(sources: [Int], targets: [Int], width: Int) {
    precondition(!targets.isEmpty, "a reach has at least one target")
    precondition(
      zip(sources, sources.dropFirst()).allSatisfy(<)
        && zip(targets, targets.dropFirst())
          .allSatisfy(<),
      "tokens in ascending order")
    self.sources = sources
    let last = targets[targets.count - 1]
    let reached = sources.flatMap { $0..<max($0, min(last + 1, $0 + width)) }
    tokens = Set(reached + targets).sorted()
    let asking = Set(targets)
    targetPlaces = tokens.indices.filter { [tokens] in asking.contains(tokens[$0]) }
  }

  /// The reach from one token to one other.
  public init(source: Int, target: Int, width: Int) {
    self.init(sources: [source], targets: [target], width: width)
  }

  /// The target tokens.
  public var targets: [Int] { targetPlaces.map { tokens[$0] } }
}
