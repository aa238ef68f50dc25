import Lanczos
import LinearAlgebra

/// The `count` largest singular triplets by subspace iteration: V ← orth(AᵀA V) until the residual norms are small.
struct SubspaceIterationSolver: PartialSVDSolver {
  var tolerance = 1e-5
  var iterations = 1000
  var seed: UInt64 = 0

  func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try checkTolerance(tolerance)
    guard iterations >= 1 else {
      throw SolverError.invalidSetting(
        name: "iterations", value: "\(iterations)", remedy: "choose at least 1")
    }
    // From here on n ≤ m, products are counted, and NaN is an error.
    let a = try CheckedOperator(a, count: count)
    var random = SeededGenerator(seed: seed)
    var v = random.normalMatrix(rows: count, columns: a.inputDimension).orthonormalizedRows()
    var step = 0
    while true {
      let w = try a.products(.forward, of: v, width: count)
      var ritz = try RitzTriplets(right: v, products: w)
      let x = try a.products(.adjoint, of: ritz.left, width: count)
      if step == 0 { try a.checkAdjoint(v: v, av: w, u: ritz.left, atu: x) }
      ritz.measure(adjointProducts: x)
      step += 1
      if step == iterations || ritz.residualNorms.max()! <= tolerance * ritz.values[0] {
        return a.triplets(
          ritz, solver: "subspace", restarts: 0, subspaceDimension: count, tolerance: tolerance,
          seed: seed, stop: .exhausted("raise iterations (now \(iterations))"))
      }
      v = x.orthonormalizedRows()
    }
  }
}
