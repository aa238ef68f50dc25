import Autodiff
import Checkpoint
import Files
import LinearAlgebra
import Processes
import Weights

extension Transformer {
  /// The model as one member of a team that holds its blocks together: of each, the member reads its own heads and hidden
  /// units, as views of the stored weights, and every member gets the same states and products.
  ///
  /// All members must make the same calls in the same order. Throws `ModelError.notDivisible`.
  public func divided(over team: any Communicator) throws(ModelError) -> any Transformer {
    team.size == 1 ? self : try SlicedModel(self, team)
  }
}

/// One member's slice of a model: everything outside the blocks is whole.
private struct SlicedModel: Transformer {
  private let whole: any Transformer
  private let blocks: [DecoderBlock]
  let team: (any Communicator)?

  init(_ whole: any Transformer, _ team: any Communicator) throws(ModelError) {
    (self.whole, self.team) = (whole, team)
    let slice = Slice(member: team.rank, of: team.size)
    var blocks: [DecoderBlock] = []
    for l in 0..<whole.description.layers {
      guard whole.keyValueSource(ofBlock: l) == nil,
        let part = (whole.block(l) as? DecoderBlock)?.part(slice, of: team)
      else { throw .notDivisible(family: whole.description.family, layer: l) }
      blocks.append(part)
    }
    self.blocks = blocks
  }

  var description: ModelDescription { whole.description }
  var source: any TensorSource { whole.source }

  func block(_ index: Int) -> any ResidualBlock { blocks[index] }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> { try whole.embed(input, as: precision) }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { whole.finalNorm(x) }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? { whole.logits(x) }

  var headWeights: StoredMatrix? { whole.headWeights }

  func tensorNames(ofBlock index: Int?) -> [String] { whole.tensorNames(ofBlock: index) }

  func chosenTensors(ofBlock index: Int) -> ChosenTensors? { whole.chosenTensors(ofBlock: index) }

  func sideInput<S: RealScalar>(
    of input: ModelInput, block index: Int, as precision: S.Type
  ) -> Matrix<S>? { whole.sideInput(of: input, block: index, as: precision) }
}
