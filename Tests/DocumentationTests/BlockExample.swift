import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Tokenization

/// The largest singular triplets of one block of a checkpoint, at the last token of a text.
func topTriplets(
  of model: String, block: Int, text: String, count: Int
) throws -> SingularTriplets {
  let directory = try CheckpointDirectory(opening: model)
  let transformer = try loadTransformer(directory)
  let tokens = try Tokenizer(for: directory).encode(text)
  var states = try HiddenStates<Float>([tokens], in: transformer)
  var point = try states.advance(through: transformer)
  while point.layer + 1 < block { point = try states.advance(through: transformer) }
  let last = (prompt: 0, tokens: TokenSelection(tokens.count - 1))
  let jacobian = residualJacobian(transformer, at: point, [last])
  return try BlockLanczosSolver().partialSVD(of: jacobian, count: count).requireConverged()
}
