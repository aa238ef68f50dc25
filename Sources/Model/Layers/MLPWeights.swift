import Autodiff
import LinearAlgebra

/// An MLP as stored: down(φ(up x)), or down(φ(gate x) ∘ up x).
public struct MLPWeights: FeedForward {
  /// Absent in an MLP without a gate.
  public var gate: LinearWeights?
  /// From the width of the stream.
  public var up: LinearWeights
  /// Back to it.
  public var down: LinearWeights
  /// φ.
  public var activation: Activation

  /// An MLP; its arguments are its properties.
  public init(
    gate: LinearWeights? = nil, up: LinearWeights, down: LinearWeights, activation: Activation
  ) {
    (self.gate, self.up, self.down, self.activation) = (gate, up, down, activation)
  }

  /// The output for every row.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    guard let gate else { return down(up(x).activated(by: activation)) }
    return down(gate(x).activated(by: activation) * up(x))
  }
}
