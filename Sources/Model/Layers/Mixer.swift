import Autodiff
import LinearAlgebra

/// What lets the tokens of a block see each other: attention is one, a recurrence or a convolution another.
///
/// It reads the stream after whatever norm comes first; the sum with the stream is the block's. At the target tokens it
/// answers a function of the source tokens, everything else held as the context has it.
public protocol Mixer: Sendable {
  /// The mixer's output (targets, width).
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
}

/// What a block does token by token: an MLP, a mixture of experts. Norms and the sum with the stream are the block's.
public protocol FeedForward: Sendable {
  /// The output for every row.
  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S>
  /// The tensors of which every token chooses a part, if there are any.
  var chosenTensors: ChosenTensors? { get }
}

extension FeedForward {
  /// Most have none.
  public var chosenTensors: ChosenTensors? { nil }
}
