public import LinearAlgebra

/// Runs of singular values that lie so close together that their single vectors are not determined, only the space of all.
///
/// Neighbours σₐ ≥ σ_b belong together where
///
///     σₐ − σ_b < 10 · max(tolerance · σ₁, noise of products · σ₁, residual norms of those that were asked for)
///
/// since an error ε of the operator turns their vectors by about ε/(σₐ − σ_b).
public struct SingularClusters: Sendable, Equatable {
  /// Positions from 0 among all found values, further ones included; two or more in each, in order.
  public let ranges: [Range<Int>]

  /// Gaps below so many times the error are no gaps.
  public static let factor = 10.0

  /// Known clusters.
  public init(_ ranges: [Range<Int>]) { self.ranges = ranges }

  /// Of the triplets that were asked for, and those beyond them as far as a cluster reaches that begins among them.
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

  /// Whether a cut after the first k values goes through a cluster.
  public func isCut(after k: Int) -> Bool {
    ranges.contains { $0.lowerBound < k && k < $0.upperBound }
  }

  /// Whether a cluster concerns the first k.
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
