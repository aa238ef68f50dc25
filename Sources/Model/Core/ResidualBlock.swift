import Weights
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
  func attention(_ x: Stream<Scalar>, in scope: TokenScope<Scalar>) -> Variable<Scalar>
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
    _ x: Stream<Scalar>, in scope: TokenScope<Scalar>
  ) -> Variable<Scalar> {
    let attended = attention(x, in: scope)
    return attended + mlp(isParallel ? x.target : x.target + attended)
  }
}

/// A linear layer as stored: weights and, if there is one, its bias.
struct LinearWeights: Sendable {
  let weights: StoredMatrix
  var bias: [Float]? = nil
  /// The weights are stored (inputs, outputs).
  var transposed = false

  /// Features that come out.
  var outputs: Int { transposed ? weights.columns : weights.rows }

  /// The part that makes some of the outputs, one projection out of a fused one; nothing is copied.
  func outputs(_ range: Range<Int>) -> LinearWeights {
    precondition(!transposed, "outputs are rows of what is stored")
    return LinearWeights(weights: weights.rows(range), bias: bias.map { Array($0[range]) })
  }

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.linear(weights, bias: bias?.map { S($0) }, transposed: transposed)
  }
}
