import LinearAlgebra

/// The attempts of one solve to prove with its own space that nothing is missing: at convergence, and after each further
/// product.
struct OwnProof {
  /// The result of an attempt.
  enum Attempt {
    /// No value of B beside the first `locked` triplets is larger than `outside`.
    case proven(outside: Double, locked: Int)
    /// Nothing is proven; further products may help if `isHopeful`.
    case unproven(isHopeful: Bool)
  }

  /// The number of triplets beyond those requested about which something may be stated.
  private static let further = BlockLanczosSolver.further
  /// The products taken for the proof.
  var products = 0
  /// How many values each attempt told apart from the rest.
  private var apart: [Int] = []

  /// Tries to prove, with failure probability δ, that none of the first `count` values is missing among the found ones,
  /// or for `bound` that no value far above the last of them is.
  ///
  /// With σ_{d+1}(A) < s₀ and A = U Σ Vᵀ + B + E for d triplets, ‖E‖ ≤ ‖R‖: ‖B‖ ≤ s₀ + ‖R‖ if that is less than their
  /// last value, since the d + 1 values of Σ and B differ from those of A by ‖E‖ at most (Weyl). Locking more of the found
  /// triplets makes B no larger.
  mutating func attempt(
    _ process: BlockBidiagonalization, _ found: RitzTriplets, count: Int, wanted: Int,
    mode: CertifyMode, failureProbability δ: Double
  ) throws(LAPACKError) -> Attempt {
    guard
      let space = try OwnSpace(process, values: count + Self.further, failureProbability: δ)
    else { return .unproven(isHopeful: false) }
    let most = min(found.lockable(count, wanted: wanted), count + Self.further)
    let exclusion = space.largestExclusion(upTo: most)
    let agreed = process.space.agreed([Double(exclusion?.count ?? 0), exclusion?.limit ?? 0])
    let (d, last) = (Int(agreed[0]), found.values[count - 1])
    if d > 0 {
      let outside = agreed[1] + found.residualNorm(d)
      let locked = max(d, found.lockable(count, wanted: wanted, outside: outside))
      let aim =
        mode == .bound ? CertifyMode.boundFactor * last : last - found.residualNorm(locked)
      if outside < found.values[d - 1], outside <= aim {
        return .proven(outside: outside, locked: locked)
      }
    }
    apart.append(d)
    // Products tell more values apart, unless there are more copies of one than the block has vectors.
    return .unproven(isHopeful: apart.count < 4 || apart.suffix(4).contains { $0 != d })
  }
}

extension RitzTriplets {
  /// The number of triplets to lock, `wanted` or more: all whose residual norms together are small relative to the gain, the
  /// distance of the last of the `count` requested from what is `outside`, or else from the last one locked.
  func lockable(_ count: Int, wanted: Int, outside: Double? = nil) -> Int {
    let (last, least) = (values[count - 1], residualNorm(wanted))
    return (wanted...max(wanted, values.count)).last {
      residualNorm($0) <= max(least, 0.1 * (last - (outside ?? values[$0 - 1])))
    } ?? wanted
  }
}
