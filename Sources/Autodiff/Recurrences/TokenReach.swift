/// The tokens whose features depend on those of some tokens, the sources, through a causal convolution, as far as some
/// tokens that ask about them, the targets, can tell.
public struct TokenReach: Hashable, Sendable {
  /// The tokens whose features may change, ascending.
  public let sources: [Int]
  /// From every source over the width of the convolution, not beyond the last target, and the targets, reached or not;
  /// ascending.
  public let tokens: [Int]
  /// Where the targets stand among the tokens, ascending.
  public let targetPlaces: [Int]

  /// From some sources to some targets, both ascending, through a convolution over `width` tokens.
  public init(sources: [Int], targets: [Int], width: Int) {
    precondition(!targets.isEmpty, "some token asks")
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

  /// From one token to one.
  public init(source: Int, target: Int, width: Int) {
    self.init(sources: [source], targets: [target], width: width)
  }

  /// The tokens that ask.
  public var targets: [Int] { targetPlaces.map { tokens[$0] } }
}
