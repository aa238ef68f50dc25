import Autodiff
import LinearAlgebra

/// A block of a transformer, written as what it adds to the residual stream.
///
/// X ↦ F(X) = X + f(X). A family writes its two halves; the same code runs as forward pass over a whole sequence and as
/// differentiable function of single tokens.
public protocol ResidualBlock: Sendable {
  /// Z − X, Z the state after the attention half, at the stream's target tokens.
  func attention<S: RealScalar>(
    _ x: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S>
  /// F − Z as a function of Z, token by token; of X where both halves read X.
  func mlp<S: RealScalar>(_ z: Variable<S>) -> Variable<S>
  /// The same in a block that also reads the context's side input.
  func mlp<S: RealScalar>(_ z: Variable<S>, in context: AttentionContext<S>) -> Variable<S>
  /// Whether both halves read X: f = attention(X) + mlp(X).
  var isParallel: Bool { get }
  /// Heads of its attention to its own tokens; 0 without one.
  var headCount: Int { get }
  /// Experts of its mixture; 0 without one.
  var expertCount: Int { get }
}

extension ResidualBlock {
  /// Most are sequential.
  public var isParallel: Bool { false }

  /// No attention.
  public var headCount: Int { 0 }
  /// No mixture.
  public var expertCount: Int { 0 }

  /// Most read nothing but Z.
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
