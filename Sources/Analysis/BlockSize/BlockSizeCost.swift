import Foundation
import Lanczos

/// The seconds that the block solver is predicted to take with each of several block sizes, apart from what they have in common.
///
/// A solve applies one block per pass. A wider block needs fewer passes and more vectors: P(b) = P(8) (8/b)^0.45, fitted to blocks
/// of SmolLM2-135M (exponent 0.50 from 4 to 16 vectors) and Qwen2.5-Coder-1.5B (0.36). All P b vectors of length n are
/// orthogonalised twice against those before them in one of two bases, which takes n (P b)² multiplications and additions.
struct BlockSizeCost {
  let times: ProductTimes
  let width: Int
  /// The number of triplets.
  let count: Int

  /// The exponent of 8/b in the passes.
  static let exponent = 0.45
  /// Another size than the usual one must take less than this share of its time, so that it does not depend on chance.
  static let gain = 0.9

  /// The predicted seconds, for each of `ProductTimes.blockSizes`.
  var seconds: [Double] {
    zip(ProductTimes.blockSizes, times.products).map { b, pair in
      let passes = SolverCost.passes(count: count) * pow(8 / Double(b), Self.exponent)
      let vectors = passes * Double(b)
      return passes / 2 * pair
        + Double(width) * vectors * vectors * times.orthogonalisation
    }
  }

  /// The size with the least predicted time, if that is clearly less than the usual one's.
  var choice: Int {
    let usual = BlockLanczosSolver.blockSize(for: count)
    let all = zip(ProductTimes.blockSizes, seconds)
    guard let least = all.min(by: { $0.1 < $1.1 }), let known = all.first(where: { $0.0 == usual }),
      least.1 <= Self.gain * known.1
    else { return usual }
    return least.0
  }
}
