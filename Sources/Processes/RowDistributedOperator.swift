public import LinearAlgebra

/// An operator on whole vectors, which every member of a team holds, as one on vectors that the team holds between them.
///
/// Member r holds the elements in range r of `Partition(of: n, parts: members)`. A product gathers the vectors, applies the
/// operator and keeps the member's own elements, so each member must get the same whole product. Besides the operator's own
/// traffic an application to b vectors sends 8 · b · n bytes / members from each member.
public final class RowDistributedOperator: LinearOperator {
  private let base: any LinearOperator
  private let rows: DistributedRows

  /// `base`, with vectors divided among the members of `team`.
  public init(_ base: any LinearOperator, over team: any Communicator) {
    self.base = base
    rows = DistributedRows(base, team)
  }

  /// The number of elements of an input held here.
  public var inputDimension: Int { rows.inputs.counts[rows.rank] }
  /// The number of elements of an output held here.
  public var outputDimension: Int { rows.outputs.counts[rows.rank] }
  /// The team.
  public var innerProducts: (any InnerProducts)? { rows.innerProducts }

  /// yᵢ ← A vᵢ for i < b, of which the elements held here are given and kept.
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    rows.apply(.forward, base, v, into: &y, vectors: b, active: [0])
  }

  /// xᵢ ← Aᵀ uᵢ for i < b, of which the elements held here are given and kept.
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    rows.apply(.adjoint, base, u, into: &x, vectors: b, active: [0])
  }
}

/// A batch of operators on whole vectors as one on vectors that a team holds between them; see `RowDistributedOperator`.
public final class RowDistributedBatch: BatchedOperator {
  private let base: any BatchedOperator
  private let rows: DistributedRows

  /// `base`, with vectors divided among the members of `team`.
  public init(_ base: any BatchedOperator, over team: any Communicator) {
    self.base = base
    rows = DistributedRows(base, team)
  }

  /// r, the number of operators.
  public var batch: Int { base.batch }
  /// The number of elements of an input held here.
  public var inputDimension: Int { rows.inputs.counts[rows.rank] }
  /// The number of elements of an output held here.
  public var outputDimension: Int { rows.outputs.counts[rows.rank] }
  /// The team.
  public var innerProducts: (any InnerProducts)? { rows.innerProducts }

  /// Aₚ, with vectors divided alike.
  public func member(_ p: Int) -> any LinearOperator {
    RowDistributedOperator(base.member(p), over: rows.team)
  }

  /// yₚ ← Aₚ vₚ for every p in `active`, b vectors each.
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { rows.apply(.forward, base, v, into: &y, vectors: b, active: active) }

  /// xₚ ← Aₚᵀ uₚ for every p in `active`, b vectors each.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) { rows.apply(.adjoint, base, u, into: &x, vectors: b, active: active) }
}

/// The sums of a team as inner products.
public final class TeamInnerProducts: InnerProducts {
  /// The team.
  public let team: any Communicator

  /// Inner products of vectors that `team` holds.
  public init(_ team: any Communicator) { self.team = team }

  /// The number of this member, from 0.
  public var member: Int { team.rank }
  /// The number of members.
  public var members: Int { team.size }
  /// values ← the sum over all members.
  public func sum(_ values: UnsafeMutableBufferPointer<Double>) { team.sum(values) }
}

/// The division of an operator's vectors, and the memory for whole ones.
private final class DistributedRows {
  let team: any Communicator
  let innerProducts: TeamInnerProducts
  let inputs: Partition
  let outputs: Partition
  private var parts: [Double] = []
  private var whole: [Double] = []
  private var product: [Double] = []

  init(_ base: any BatchedOperator, _ team: any Communicator) {
    self.team = team
    innerProducts = TeamInnerProducts(team)
    inputs = Partition(of: base.inputDimension, parts: team.size)
    outputs = Partition(of: base.outputDimension, parts: team.size)
  }

  var rank: Int { team.rank }

  func apply(
    _ direction: ProductDirection, _ base: any BatchedOperator, _ v: Span<Double>,
    into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    let (from, to) = direction == .forward ? (inputs, outputs) : (outputs, inputs)
    let count = b * active.count
    gather(v, from, vectors: count)
    let length = to.length
    product.grow(to: count * length)
    whole.withUnsafeBufferPointer { whole in
      product.withUnsafeMutableBufferPointer { product in
        var span = product.extracting(..<(count * length)).mutableSpan
        base.apply(
          direction, whole.extracting(..<(count * from.length)).span, into: &span, vectors: b,
          active: active)
      }
    }
    let held = to.ranges[rank]
    y.withUnsafeMutableBufferPointer { y in
      for i in 0..<count {
        for (j, element) in held.enumerated() {
          y[i * held.count + j] = product[i * length + element]
        }
      }
    }
  }

  /// whole ← the vectors, from the members' parts of them.
  private func gather(_ v: Span<Double>, _ partition: Partition, vectors count: Int) {
    let length = partition.length
    parts.grow(to: count * length)
    whole.grow(to: count * length)
    parts.withUnsafeMutableBufferPointer { parts in
      v.withUnsafeBufferPointer { v in
        team.gather(
          v, into: parts.extracting(..<(count * length)),
          counts: partition.counts.map { $0 * count })
      }
      // One member's part of all vectors follows another's.
      for range in partition.ranges {
        for i in 0..<count {
          for (j, element) in range.enumerated() {
            whole[i * length + element] =
              parts[range.lowerBound * count + i * range.count + j]
          }
        }
      }
    }
  }
}

extension Partition {
  /// The number of things divided.
  fileprivate var length: Int { ranges.last?.upperBound ?? 0 }
}

extension [Double] {
  /// Appends zeros until there are `count` numbers.
  fileprivate mutating func grow(to count: Int) {
    if self.count < count { append(contentsOf: repeatElement(0, count: count - self.count)) }
  }
}
