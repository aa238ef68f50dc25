import Weights
import Autodiff
import LinearAlgebra

/// A linear layer as stored: weights and, if there is one, its bias.
public struct LinearWeights: Sendable {
  /// W, (outputs, inputs) unless `transposed`.
  public let weights: StoredMatrix
  /// One number per output.
  public var bias: [Float]?
  /// The weights are stored (inputs, outputs).
  public var transposed: Bool

  /// A linear layer.
  public init(weights: StoredMatrix, bias: [Float]? = nil, transposed: Bool = false) {
    (self.weights, self.bias, self.transposed) = (weights, bias, transposed)
  }

  /// Features that come out.
  public var outputs: Int { transposed ? weights.columns : weights.rows }

  /// The part that makes some of the outputs, one projection out of a fused one; nothing is copied.
  public func outputs(_ range: Range<Int>) -> LinearWeights {
    precondition(!transposed, "outputs are rows of what is stored")
    return LinearWeights(weights: weights.rows(range), bias: bias.map { Array($0[range]) })
  }

  /// W x + b of every row.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.linear(weights, bias: bias?.map { S($0) }, transposed: transposed)
  }
}
