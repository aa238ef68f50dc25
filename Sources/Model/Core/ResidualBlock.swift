import Autodiff
import LinearAlgebra

/// A block of a transformer, written as what it adds to the residual stream.
///
/// X ↦ F(X) = X + f(X). A family writes its two halves; the same code runs as forward pass over a whole sequence and as
/// differentiable function of single tokens.
public protocol ResidualBlock<Scalar> {
  /// The precision it runs in.
  associatedtype Scalar: RealScalar
  /// Z − X, Z the state after the attention half, at the stream's target tokens.
  func attention(_ x: ResidualStream<Scalar>, in context: AttentionContext<Scalar>) -> Variable<
    Scalar
  >
  /// F − Z as a function of Z, token by token; of X where both halves read X.
  func mlp(_ z: Variable<Scalar>) -> Variable<Scalar>
  /// Whether both halves read X: f = attention(X) + mlp(X).
  var isParallel: Bool { get }
}

extension ResidualBlock {
  /// Most are sequential.
  public var isParallel: Bool { false }

  /// f(X) = F(X) − X at the target tokens.
  public func update(
    _ x: ResidualStream<Scalar>, in context: AttentionContext<Scalar>
  ) -> Variable<Scalar> {
    let attended = attention(x, in: context)
    return attended + mlp(isParallel ? x.target : x.target + attended)
  }
}
