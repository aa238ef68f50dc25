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

  /// The number of input features.
  public var inputs: Int { transposed ? weights.rows : weights.columns }

  /// The number at whose multiples a range of outputs begins and ends.
  var outputUnit: Int { transposed ? weights.columnUnit : 1 }
  /// The number at whose multiples a range of inputs begins and ends.
  var inputUnit: Int { transposed ? 1 : weights.columnUnit }

  /// The layer restricted to some of its outputs, such as one projection of a fused one; nothing is copied.
  ///
  /// Precondition: the range begins and ends at multiples of the block if the weights are stored transposed.
  public func outputs(_ range: Range<Int>) -> LinearWeights {
    LinearWeights(
      weights: transposed ? weights.columns(range) : weights.rows(range),
      bias: bias.map { Array($0[range]) }, transposed: transposed)
  }

  /// The layer restricted to some of its inputs; nothing is copied. Outputs of all parts sum to those of the whole if one
  /// part has the bias.
  func inputs(_ range: Range<Int>, keepsBias: Bool) -> LinearWeights {
    LinearWeights(
      weights: transposed ? weights.rows(range) : weights.columns(range),
      bias: keepsBias ? bias : nil, transposed: transposed)
  }

  /// W x + b for every row x.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.linear(weights, bias: bias?.map { S($0) }, transposed: transposed)
  }
}
