import Autodiff
import LinearAlgebra

/// An MLP and a mixture of experts side by side: after(mlp(norm z)) + after′(mixture z).
struct DenseAndMixture: FeedForward {
  let norm: any NormWeights
  let dense: MLPWeights
  let afterDense: any NormWeights
  let mixture: ExpertMixture
  let afterMixture: any NormWeights

  var chosenTensors: ChosenTensors? { mixture.chosenTensors }

  func callAsFunction<S: RealScalar>(_ z: Variable<S>) -> Variable<S> {
    let added = afterDense(dense(norm(z)))
    return (z.rules.expert == nil ? added : added.detached) + afterMixture(mixture(z))
  }
}
