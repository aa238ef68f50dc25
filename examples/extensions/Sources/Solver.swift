import Lanczos
import LinearAlgebra

/// The `count` largest singular triplets by subspace iteration: V ← orth(AᵀA V) until the residual norms are small.
struct SubspaceIterationSolver: PartialSVDSolver {
  var tolerance = 1e-5
  var iterations = 1000
  var seed: UInt64 = 0

  func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    let limit = min(a.inputDimension, a.outputDimension)
    guard count >= 1, count <= limit else {
      throw SolverError.impossibleCount(count, limit: limit)
    }
    var random = SeededGenerator(seed: seed)
    var v = random.normalMatrix(rows: count, columns: a.inputDimension).orthonormalizedRows()
    var applications = ApplicationCount()
    while true {
      // Wᵀ = Uᵀ Σ Q for W = A V: the best triplets with right vectors in the span of V are (σ, u, Q v).
      let w = a.apply(v)
      let (rotation, σ, u) = try w.singularValueDecomposition()
      v = .product(rotation, .none, v)
      let x = a.applyAdjoint(u)
      applications.jvp += count
      applications.vjp += count
      applications.passes += 2
      // A v = σ u holds by construction, up to rounding; Aᵀ u = σ v when all is found.
      let residuals = (0..<count).map { i in
        zip(x.row(i), v.row(i)).reduce(0) { $0 + ($1.0 - σ[i] * $1.1) * ($1.0 - σ[i] * $1.1) }
          .squareRoot()
      }
      let converged = residuals.count { $0 <= tolerance * σ[0] }
      if converged == count || applications.passes >= 2 * iterations {
        return SingularTriplets(
          singularValues: σ, leftVectors: u, rightVectors: v, residualNorms: residuals,
          report: ConvergenceReport(
            outcome: converged == count
              ? .converged
              : .stopped(
                Stop(
                  .exhausted, residual: residuals.max()! / σ[0],
                  remedy: "raise iterations (now \(iterations))")),
            solver: "subspace", requested: count, converged: converged, restarts: 0,
            applications: applications, subspaceDimension: count, tolerance: tolerance, seed: seed))
      }
      v = x.orthonormalizedRows()
    }
  }
}
