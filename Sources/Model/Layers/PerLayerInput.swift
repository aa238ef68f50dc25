import Autodiff
import LinearAlgebra
import Weights

/// The term that a block adds for its side input u, which depends on the token alone: norm(projection(φ(gate y) ∘
/// u)).
/// Gemma Team, "Gemma 3n", 2025.
public struct PerLayerInput: Sendable {
  /// The map from the width of the stream to that of the side input.
  public var gate: LinearWeights
  /// The activation φ.
  public var activation: Activation
  /// The map back to the width of the stream.
  public var projection: LinearWeights
  /// The norm of the term added.
  public var norm: any NormWeights

  /// The term for rows `y` (rows, width) and side input `u` (rows, features).
  func callAsFunction<S: RealScalar>(_ y: Variable<S>, _ u: Variable<S>) -> Variable<S> {
    norm(projection(gate(y).activated(by: activation) * u))
  }

  /// The source of all blocks' side inputs: 2^−½ (norm(projection(X⁰) / √d) + √p · row of the token), for p features
  /// per block.
  public struct Source: Sendable {
    /// The table, one row per id: the features of all blocks, one block after another.
    public var table: StoredMatrix
    /// The map from the width d of the stream to the features of all blocks.
    public var projection: LinearWeights
    /// The norm of one block's features.
    public var norm: any NormWeights
    /// p, the number of features per block.
    public var features: Int

    /// The side input of block `index` for tokens whose X⁰ is `x` (tokens, width). Precondition: the table has these
    /// tokens.
    func callAsFunction<S: RealScalar>(
      _ tokens: [Int], _ x: Variable<S>, block index: Int
    ) -> Matrix<S> {
      let columns = index * features..<(index + 1) * features
      let projected = norm(S(1 / Double(x.columns).squareRoot()) * projection.outputs(columns)(x))
      var result = projected.value
      let (scale, half) = (Double(features).squareRoot(), 0.5.squareRoot())
      for (row, token) in tokens.enumerated() {
        let own = table.row(token)
        for (c, i) in columns.enumerated() {
          result[row, c] = S(half) * (result[row, c] + S(scale) * S(own[i]))
        }
      }
      return result
    }
  }
}

extension DecoderReader {
  /// The source of `p` features per block, with as many rows as the vocabulary has ids.
  func perLayerSource(_ p: Int, vocabulary: Int) throws -> PerLayerInput.Source {
    let all = p * settings.layers
    return PerLayerInput.Source(
      table: try weights.matrix(
        "model.embed_tokens_per_layer.weight", rows: vocabulary, columns: all),
      projection: try weights.linear(
        "model.per_layer_model_projection", outputs: all, inputs: settings.width, bias: false),
      norm: try norm("model.per_layer_projection_norm", count: p), features: p)
  }

  /// The term that a block adds for its `p` features.
  func perLayerInput(_ p: Int) throws -> PerLayerInput {
    PerLayerInput(
      gate: try weights.linear(
        "per_layer_input_gate", outputs: p, inputs: settings.width, bias: false),
      activation: settings.activation,
      projection: try weights.linear(
        "per_layer_projection", outputs: settings.width, inputs: p, bias: false),
      norm: try norm("post_per_layer_input_norm"))
  }
}
