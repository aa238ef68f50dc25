import Autodiff
import LinearAlgebra
import Processes

/// One member's share of the blocks that a team of processes holds together: attention is divided by heads, MLPs by
/// hidden units. Shoeybi et al., arXiv 1909.08053.
public struct Slice: Sendable {
  /// The number of the member, from 0.
  public let member: Int
  /// The number of members.
  public let members: Int

  /// The slice of one member.
  public init(member: Int, of members: Int) { (self.member, self.members) = (member, members) }

  /// The member's range of `count` heads or hidden units, which begins at a multiple of `unit` and may be empty; and
  /// whether it is the first that is not, to which the biases of a sum belong.
  func share(of count: Int, unit: Int) -> (range: Range<Int>, isFirst: Bool) {
    let ranges = Partition(of: count, parts: members, unit: unit).ranges
    return (ranges[member], ranges.firstIndex { !$0.isEmpty } == member)
  }
}

/// The part of a member without heads or hidden units: it adds nothing.
struct EmptyPart: Mixer, FeedForward {
  func callAsFunction<S: RealScalar>(
    _ h: ResidualStream<S>, in context: AttentionContext<S>
  ) -> Variable<S> { self(h.target) }

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    Variable(Matrix(rows: x.rows, columns: x.columns))
  }
}
