import Autodiff
import LinearAlgebra

/// Attention to an encoder's output, which is held; norms and the sum with the stream belong to the block.
struct CrossAttention: Sendable {
  let heads, headDimension: Int
  /// The factor of the scores.
  let scale: Double
  let query, key, value, output: LinearWeights

  func callAsFunction<S: RealScalar>(
    _ h: Variable<S>, in context: AttentionContext<S>
  ) -> Variable<S> {
    let looked = context.crossAttend(
      queries: query(h),
      settings: AttentionSettings(
        heads: heads, keyValueHeads: heads, headDimension: headDimension, scale: scale,
        visible: { _, count in 0..<count })
    ) { (key($0), value($0)) }
    return output(looked)
  }
}

extension Transformer {
  /// The states after an encoder's blocks; in tensor names the number of a block follows one of `words`, and a
  /// block's weights may be dropped once it has been passed. Throws `ModelError` for states that are not finite.
  func encode<S: RealScalar>(
    _ states: Variable<S>, through blocks: [some ResidualBlock], after words: [String]
  ) throws(ModelError) -> Variable<S> {
    var x = states
    for (l, block) in blocks.enumerated() {
      x = x + block.update(ResidualStream(x), in: AttentionContext(prompts: [0..<x.rows]))
      let names = source.tensors.map(\.name).filter { blockNumber($0, after: words) == l }
      guard x.isFinite else { throw errorForNotFinite(layer: 0, tensors: names) }
      for name in names { try? source.tensor(name).advise(.dontNeed) }
    }
    return x
  }
}
