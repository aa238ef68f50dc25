import Autodiff
import LinearAlgebra

/// The residual stream as a block reads it: at the source tokens and at the target tokens.
///
/// In a whole sequence, or for a Jacobian from a token to itself, the two are one variable. From one token to
/// another, the source carries the tangent and the target is constant.
public struct ResidualStream<Scalar: RealScalar> {
  /// The states that keys and values are computed from.
  public let source: Variable<Scalar>
  /// The states that queries are computed from and that the block adds to.
  public let target: Variable<Scalar>

  /// A stream whose sources and targets are one variable.
  public init(_ both: Variable<Scalar>) { (source, target) = (both, both) }

  /// A stream with separate sources and targets.
  public init(source: Variable<Scalar>, target: Variable<Scalar>) {
    (self.source, self.target) = (source, target)
  }

  /// Whether source and target are the same.
  public var isSingle: Bool { isSame(source, target) }

  /// f applied to both, and computed once if they are the same.
  public func map(_ f: (Variable<Scalar>) -> Variable<Scalar>) -> ResidualStream {
    if isSingle { return ResidualStream(f(target)) }
    return ResidualStream(source: f(source), target: f(target))
  }
}
