public import LinearAlgebra

/// Runs of singular values that are too close to determine single vectors; only the space of all vectors of a run is
/// determined.
///
/// Neighbours σₐ ≥ σ_b belong together if
///
///     σₐ − σ_b < 10 · max(tolerance · σ₁, noise of products · σ₁, residual norms of the requested triplets)
///
/// since an error ε of the operator rotates their vectors by about ε/(σₐ − σ_b).
public struct SingularClusters: Sendable, Equatable {
  /// The index ranges among all found values, including further ones; each has two or more, in ascending order.
  public let ranges: [Range<Int>]

  /// Gaps of fewer than this many times the error do not count as gaps.
  public static let factor = 10.0

  /// Creates clusters from known ranges.
  public init(_ ranges: [Range<Int>]) { self.ranges = ranges }

  /// The clusters of the requested triplets, and of those beyond them as far as a cluster that starts among the
  /// requested ones extends.
  public init(_ t: SingularTriplets, noise: OperatorNoise = .none) {
    let values = t.singularValues + (t.further?.singularValues ?? [])
    let asked = t.singularValues.count
    let error = max(t.report.tolerance, noise.products) * (values.first ?? 0)
    let errors = values.indices.map { max(error, $0 < asked ? t.residualNorms[$0] : 0) }
    var ranges: [Range<Int>] = []
    var start = 0
    while start < asked {
      var end = start + 1
      while end < values.count,
        values[end - 1] - values[end] < Self.factor * max(errors[end - 1], errors[end])
      {
        end += 1
      }
      if end - start > 1 { ranges.append(start..<end) }
      start = end
    }
    self.ranges = ranges
  }

  /// Whether a cut after the first k values splits a cluster.
  public func isCut(after k: Int) -> Bool {
    ranges.contains { $0.lowerBound < k && k < $0.upperBound }
  }

  /// Whether a cluster includes any of the first k values.
  public func concerns(first k: Int) -> Bool { ranges.contains { $0.lowerBound < k } }

  /// The partition of 0 ..< k into clusters and single values.
  public func partition(of k: Int) -> [Range<Int>] {
    var parts: [Range<Int>] = []
    var next = 0
    while next < k {
      let end = ranges.first { $0.contains(next) }?.upperBound ?? next + 1
      parts.append(next..<min(end, k))
      next = end
    }
    return parts
  }
}
