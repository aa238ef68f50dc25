import Foundation
import Lanczos
import Weights

/// The cost of a solve in passes over the weights and in memory, counted on residual Jacobians, not derived.
///
/// Passes to a residual of 10⁻⁵ σ₁, counted on the blocks of SmolLM2-135M (ARPACK with one vector per pass; the block
/// solver with 8, or fewer when many Jacobians share an application), including those that measure the residuals.
package struct SolverCost: Sendable {
  /// Passes over the weights.
  package let passes: Int
  /// Vectors of each Jacobian in an application, and in the widest one, which measures the residual norms.
  let vectors: Int
  let widest: Int
  /// Bases of all Jacobians that are in memory together.
  let basisBytes: Int

  /// The cost for square Jacobians.
  init(
    _ solver: SolverKind, width: Int, count k: Int, batch r: Int, certify: CertifyMode,
    blockSize: Int? = nil
  ) {
    self.init(
      solver, rows: width, columns: width, count: k, batch: r, certify: certify,
      blockSize: blockSize)
  }

  /// The cost for m × n operators.
  init(
    _ solver: SolverKind, rows m: Int, columns n: Int, count k: Int, batch r: Int = 1,
    certify: CertifyMode, blockSize: Int? = nil
  ) {
    let width = min(m, n)
    // The mean of both sides: a pass adds a block to one of the two bases, in turn.
    let vectorBytes = (m + n) / 2 * MemoryLayout<Double>.stride
    // Of the largest maps there are, more than a number of bytes can be.
    let bytes = { (vectors: Int) in Int(min(Double(vectors) * Double(vectorBytes), 0x1p62)) }
    // Vectors in one application of the block or the dense solver.
    let most = Engine.independentVectors
    let kind = k >= width - 1 ? .dense : solver
    switch kind {
    case .dense:
      // The matrix, LAPACK's copy, U and Vᵀ with their transposes, and the work array of dgesdd.
      (passes, vectors, widest) = ((width + most - 1) / most + 4, most, most)
      basisBytes = bytes(8 * width)
    case .arpack, .parpack:
      passes = 70 + 5 * k / 2 + (certify == .off ? 0 : 10)
      (vectors, widest) = (1, k + 8)
      basisBytes = bytes(max(2 * k + 1, 20) + 4 + 3 * k)
    case .auto, .block, .randomized:
      let b = max(1, min(blockSize ?? BlockLanczosSolver.blockSize(for: k), most / r, width))
      // With 8 vectors; narrower blocks need more passes and fewer vectors. A group waits for its slowest member.
      let narrower = pow(8 / Double(b), 0.6) * (r > 1 ? 1.15 : 1)
      let solve = Int(Self.passes(count: k) * narrower)
      // The search for a proof takes 0.3 of the solve, for a bound two thirds of that, and a few more triplets are measured.
      let share = certify == .off ? 0 : certify == .bound ? 0.2 : 0.3
      passes = solve + Int(share * Double(solve))
      (vectors, widest) = (b, max(b, min(k + (certify == .off ? 0 : 8), most / r)))
      // The search starts with bases of its own, after those of the solve have been freed.
      basisBytes = bytes(r * (solve * b + 4 * widest + 3 * b))
    }
  }

  /// The passes in which the block solver finds k triplets with 8 vectors, without a search for missed ones.
  static func passes(count k: Int) -> Double { 22 + 0.6 * Double(k) }
}
