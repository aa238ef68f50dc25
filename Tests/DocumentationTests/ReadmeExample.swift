import Weights
import Autodiff
import Lanczos
import LinearAlgebra

/// Not a transformer: the Jacobian, at one point, of what a layer of 400 tanh units adds to 100 features.
func strongestDirections() throws -> SingularTriplets {
  var random = SeededGenerator(seed: 1)
  let up = StoredMatrix(random.normalMatrix(rows: 400, columns: 100))
  let down = StoredMatrix(random.normalMatrix(rows: 100, columns: 400))
  let x = random.normalMatrix(rows: 1, columns: 100)
  let jacobian = linearize({ $0.linear(up).activated(by: .tanh).linear(down) }, at: x)
  return try ARPACKSolver().partialSVD(of: jacobian, count: 5).requireConverged()
}
