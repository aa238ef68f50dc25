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

  /// `found` are asked triplets and some more, `limit` all there are.
  init(_ found: RitzTriplets, count: Int, tolerance: Double, limit: Int) {
    self.count = count
    let worst = found.residualNorms.prefix(count).max() ?? 0
    distance = 10 * max(tolerance * (found.values.first ?? 0), worst)
    // Values within that of 0 are none: a null space is not followed to its end.
    let isNothing = found.values[count - 1] <= distance
    cap = isNothing ? count : min(limit, count + max(count, 20))
  }

  /// How many triplets reach to the end of the cluster, by values of which `found` have been found.
  func end(_ values: [Double]) -> Int {
    var end = count
    while end < min(values.count, cap), values[end - 1] - values[end] < distance { end += 1 }
    return end
  }
}
