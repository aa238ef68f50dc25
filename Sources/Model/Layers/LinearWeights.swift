import Weights
import Autodiff
import LinearAlgebra

/// A linear layer as stored: weights and, optionally, a bias.
public struct LinearWeights: Sendable {
  /// W, stored as (outputs, inputs) unless `transposed`.
  public let weights: StoredMatrix
  /// The bias, one number per output; nil for none.
  public var bias: [Float]?
  /// Whether the weights are stored as (inputs, outputs).
  public var transposed: Bool

  /// Creates a linear layer from its properties.
  public init(weights: StoredMatrix, bias: [Float]? = nil, transposed: Bool = false) {
    (self.weights, self.bias, self.transposed) = (weights, bias, transposed)
  }

  /// The number of output features.
  public var outputs: Int { transposed ? weights.columns : weights.rows }

  /// The layer restricted to some of its outputs, such as one projection of a fused one; nothing is copied.
  public func outputs(_ range: Range<Int>) -> LinearWeights {
    precondition(!transposed, "outputs must be rows of the stored matrix")
    return LinearWeights(weights: weights.rows(range), bias: bias.map { Array($0[range]) })
  }

  /// W x + b for every row x.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.linear(weights, bias: bias?.map { S($0) }, transposed: transposed)
  }
}
