/// The members of a team that hold vectors between them, each some of the elements: what a solver needs of them are sums.
///
/// Dot products, norms and Gram matrices of such vectors are sums over the members of those of their parts (`VectorSpace`).
/// Every member makes the same calls in the same order.
public protocol InnerProducts: AnyObject, Sendable {
  /// The number of this member, from 0.
  var member: Int { get }
  /// The number of members.
  var members: Int { get }
  /// values ← the sum over all members, element by element; the same to the bit in each of them.
  func sum(_ values: UnsafeMutableBufferPointer<Double>)
}

extension InnerProducts {
  /// Whether any member says so.
  package func isAny(_ isSo: Bool) -> Bool {
    var count = [isSo ? 1.0 : 0]
    count.withUnsafeMutableBufferPointer { sum($0) }
    return count[0] > 0
  }
}
