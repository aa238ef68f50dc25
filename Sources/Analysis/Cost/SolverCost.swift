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
  /// The triplets beyond the requested ones that are measured.
  let further: Int
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
    // A vector has the mean length of both sides: a pass adds a block to one of the two bases, in turn. Of the largest maps there
    // are, the bytes can be more than an integer.
    let bytes = { (vectors: Int, numbers: Double) in
      Int(min((Double(vectors) * Double((m + n) / 2) + numbers) * 8, 0x1p62))
    }
    // Vectors in one application of the block or the dense solver.
    let most = Engine.independentVectors
    let kind = k >= width - 1 ? .dense : solver
    let b = max(1, min(blockSize ?? BlockLanczosSolver.blockSize(for: k), most / r, width))
    // The search for a proof takes 0.3 of a solve, for a bound two thirds of that; the space of a block solve proves it without a
    // search, unless the block is narrow. A few more triplets are measured.
    let isBlock = kind != .arpack && kind != .parpack && kind != .randomized
    let share = certify == .off || isBlock && b >= 4 ? 0 : certify == .bound ? 0.2 : 0.3
    let measured = min(k + (certify == .off ? 0 : BlockLanczosSolver.further), width)
    further = measured - min(k, width)
    switch kind {
    case .dense:
      // The matrix, LAPACK's copy, U and Vᵀ with their transposes, and the work array of dgesdd.
      (passes, vectors, widest) = ((width + most - 1) / most + 4, most, most)
      basisBytes = bytes(8 * width, 0)
    case .arpack, .parpack:
      passes = 70 + 5 * k / 2 + (certify == .off ? 0 : 10)
      (vectors, widest) = (1, k + 8)
      // ARPACK's basis has been freed when the search has bases of its own, beside what was found on both sides.
      let search = 6 * measured + Int(share * Self.passes(count: k)) * b
      basisBytes = bytes(max(max(2 * k + 1, 20) + 4 + 3 * k, certify == .off ? 0 : search), 0)
    case .auto, .block, .randomized:
      // With 8 vectors; narrower blocks need more passes and fewer vectors. A group waits for its slowest member.
      let alone = Self.passes(count: k) * pow(8 / Double(b), 0.6)
      let solve = Int(alone * (r > 1 ? 1.15 : 1))
      passes = solve + Int(share * Double(solve))
      (vectors, widest) = (b, max(b, min(measured, most / r)))
      // The bases U and V, with H = Uᵀ A V and its eigenvectors. They grow in turn, and not while a solve waits for others. Trained
      // models of a hundred million weights need 0.9 to 1 of the passes counted here, random ones of large width 0.6.
      let held = min(Int(0.85 * alone) * b / 2, max(256, 6 * k + 8 * b), width)
      let projected = Double(r) * Double(held) * Double(held + measured)
      // The proof holds H without its pending part, its Gram matrix and all eigenvectors, in as many solves as there are threads.
      let proof = certify == .off ? 0 : 3 * Double(min(r, Engine.currentThreads) * held * held)
      // Beside them what is measured, as vectors and products of both sides; and at as many solves at a time as there are threads
      // the new bases of the search, which starts before the old ones are freed.
      let searching = certify == .off ? 0 : min(r, Engine.currentThreads) * 4 * measured
      // A basis grows by a quarter, and its old array is there until it is copied.
      let grown = 2 * held + held / 2 + held
      basisBytes = bytes(r * (grown + 3 * b + 4 * measured) + searching, projected + proof)
    }
  }

  /// The passes in which the block solver finds k triplets with 8 vectors, without a search for missed ones.
  static func passes(count k: Int) -> Double { 22 + 0.6 * Double(k) }
}
