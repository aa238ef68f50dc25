/// The cluster of values that σ_K belongs to: consecutive values closer than 10 × max(tolerance · σ₁, residual
/// norms).
///
/// A cut inside a cluster leaves a subspace that is not determined, so a solve continues to the cluster's end.
struct ClusterAtCut {
  /// K, the number of triplets requested.
  let count: Int
  /// Consecutive values closer than this belong to one cluster.
  let distance: Double
  /// The most triplets to compute in all.
  let cap: Int

  /// The cluster of `found`, the triplets requested and some more, measured; `limit` is how many the operator has.
  init(_ found: RitzTriplets, count: Int, tolerance: Double, limit: Int) {
    self.init(
      found.values, count: count, residualNorm: found.residualNorms.prefix(count).max() ?? 0,
      tolerance: tolerance, limit: limit)
  }

  /// The cluster of `values`, of which the first `count` have residual norms of at most `residualNorm`.
  init(_ values: [Double], count: Int, residualNorm: Double, tolerance: Double, limit: Int) {
    self.count = count
    distance = 10 * max(tolerance * (values.first ?? 0), residualNorm)
    // Values this close to 0 form no cluster: a null space is not followed to its end.
    let isNothing = values[count - 1] <= distance
    cap = isNothing ? count : min(limit, count + max(count, 20))
  }

  /// The number of triplets up to the end of the cluster, judged by the values found so far.
  func end(_ values: [Double]) -> Int {
    var end = count
    while end < min(values.count, cap), values[end - 1] - values[end] < distance { end += 1 }
    return end
  }
}
