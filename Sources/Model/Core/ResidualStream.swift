import Autodiff
import LinearAlgebra

/// The residual stream as a block sees it: at the tokens that are read from, and at the tokens that are written to.
///
/// In a whole sequence, or for a Jacobian from a token to itself, the two are one variable. From one token to another the
/// source carries the tangent and the target is a constant.
public struct ResidualStream<Scalar: RealScalar> {
  /// Where keys and values come from.
  public let source: Variable<Scalar>
  /// Where queries come from, and what the block adds to.
  public let target: Variable<Scalar>

  /// One variable for both.
  public init(_ both: Variable<Scalar>) { (source, target) = (both, both) }

  /// Two tokens.
  public init(source: Variable<Scalar>, target: Variable<Scalar>) {
    (self.source, self.target) = (source, target)
  }

  /// Whether source and target are the same.
  public var isSingle: Bool { isSame(source, target) }

  /// f of both, computed once where they are the same.
  public func map(_ f: (Variable<Scalar>) -> Variable<Scalar>) -> ResidualStream {
    if isSingle { return ResidualStream(f(target)) }
    return ResidualStream(source: f(source), target: f(target))
  }
}
