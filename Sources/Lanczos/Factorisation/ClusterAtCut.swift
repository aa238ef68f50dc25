/// Where the values that are not to be told from σ_K end: consecutive ones closer than 10 × max(tolerance σ₁, residual norms).
///
/// A cut inside such a cluster leaves a subspace that is not determined, so a solve goes on to its end.
struct ClusterAtCut {
  /// K.
  let count: Int
  /// Consecutive values closer than this belong together.
  let distance: Double
  /// The most triplets there may be, in all.
  let cap: Int

  /// `found` are asked triplets and some more, measured; `limit` is how many there are in all.
  init(_ found: RitzTriplets, count: Int, tolerance: Double, limit: Int) {
    self.init(
      found.values, count: count, residualNorm: found.residualNorms.prefix(count).max() ?? 0,
      tolerance: tolerance, limit: limit)
  }

  /// Of values of which the first `count` have residual norms of `residualNorm` at most.
  init(_ values: [Double], count: Int, residualNorm: Double, tolerance: Double, limit: Int) {
    self.count = count
    distance = 10 * max(tolerance * (values.first ?? 0), residualNorm)
    // Values within that of 0 are none: a null space is not followed to its end.
    let isNothing = values[count - 1] <= distance
    cap = isNothing ? count : min(limit, count + max(count, 20))
  }

  /// How many triplets reach to the end of the cluster, by values of which `found` have been found.
  func end(_ values: [Double]) -> Int {
    var end = count
    while end < min(values.count, cap), values[end - 1] - values[end] < distance { end += 1 }
    return end
  }
}
