import Autodiff
import LinearAlgebra

/// A block of a transformer, defined by what it adds to the residual stream.
///
/// The block is X ↦ F(X) = X + f(X). A family implements its two halves; the same code serves as forward pass over a
/// whole sequence and as differentiable function of single tokens.
public protocol ResidualBlock: Sendable {
  /// Z − X at the stream's target tokens, where Z is the state after the attention half.
  func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
  /// F − Z as a function of Z, token by token; in a parallel block a function of X.
  func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S>
  /// F − Z in a block that also reads the context's side input.
  func mlp<S: RealScalar>(_ z: Variable<S>, in context: AttentionContext<S>) -> Variable<S>
  /// f(X) = F(X) − X at the target tokens, the sum of both halves.
  func update<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
  /// Whether both halves read X: f = attention(X) + mlp(X).
  var isParallel: Bool { get }
  /// The number of heads that attend to the prompt's own tokens; 0 without such an attention.
  var headCount: Int { get }
  /// The number of experts of the mixture; 0 without one.
  var expertCount: Int { get }
}

extension ResidualBlock {
  /// False, since most blocks are sequential.
  public var isParallel: Bool { false }

  /// 0, for a block without attention.
  public var headCount: Int { 0 }
  /// 0, for a block without a mixture of experts.
  public var expertCount: Int { 0 }

  /// F − Z for blocks that do not read the side input, as most.
  public func mlp<S: RealScalar>(
    _ z: Variable<S>, in context: AttentionContext<S>
  ) -> Variable<S> { mlp(z) }

  /// f(X) = F(X) − X at the target tokens.
  public func update<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let attended = attention(x, in: context)
    return attended + mlp(isParallel ? x.target : x.target + attended, in: context)
  }
}
