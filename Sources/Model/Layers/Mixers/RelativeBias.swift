import Foundation

/// The bias that T5 adds to a score for the distance from query to key: a learned number per head and bucket of
/// distances.
///
/// Half of the buckets of a direction hold one distance each; the others hold ranges of distances that grow
/// exponentially up to the reach, and the last one holds all distances beyond. A causal table has one direction;
/// otherwise each direction gets half of the buckets. Raffel et al., arXiv 1910.10683, section 2.1.
struct RelativeBias: Sendable {
  /// The learned biases, (buckets, heads).
  private let table: [[Float]]
  /// The bucket of every distance from 0 to the reach, in one direction.
  private let buckets: [Int]

  /// Creates the bias. Precondition: the table has at least 4 rows, and `reach` is more than half as many.
  init(_ table: [[Float]], reach: Int, isCausal: Bool) {
    self.table = table
    let count = isCausal ? table.count : table.count / 2
    let exact = count / 2
    // In single precision, like the reference: where distances are exact powers, rounding decides the bucket.
    let scale = Float(log(Double(reach) / Double(exact)))
    buckets = (0...reach).map { distance in
      guard distance >= exact else { return distance }
      let step = log(Float(distance) / Float(exact)) / scale * Float(count - exact)
      return min(exact + Int(step), count - 1)
    }
  }

  /// The bias of a head for `distance`, the key's position minus the query's.
  func callAsFunction(head: Int, distance: Int) -> Double {
    let bucket = buckets[min(abs(distance), buckets.count - 1)]
    // The second half of the buckets is for keys after the query.
    return Double(table[distance > 0 ? table.count / 2 + bucket : bucket][head])
  }
}
