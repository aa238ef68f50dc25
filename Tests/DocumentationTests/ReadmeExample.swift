import Weights
import Autodiff
import Lanczos
import LinearAlgebra

/// No transformer: what a layer of 400 tanh units adds to 100 features, seen through its Jacobian at one point.
func strongestDirections() throws -> SingularTriplets {
  var random = SeededGenerator(seed: 1)
  let up = StoredMatrix(random.normalMatrix(rows: 400, columns: 100))
  let down = StoredMatrix(random.normalMatrix(rows: 100, columns: 400))
  let x = random.normalMatrix(rows: 1, columns: 100)
  let jacobian = linearize({ $0.linear(up).activated(by: .tanh).linear(down) }, at: x)
  return try ARPACKSolver().partialSVD(of: jacobian, count: 5).requireConverged()
}
