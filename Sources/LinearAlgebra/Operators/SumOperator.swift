/// w₁ A₁ + … + wₙ Aₙ for operators of the same shape: a sum, a difference, an average.
///
/// An application applies every Aᵢ once to all of its vectors; besides the members' own workspace it needs one block
/// of outputs, whatever n is.
public final class SumOperator: LinearOperator {
  private let members: [any LinearOperator]
  private let weights: [Double]
  private let buffer = VectorBuffer()

  /// The sum of at least one operator, each times its weight; without weights, all are 1. Precondition: all members
  /// have the same shape, and there is one weight for each.
  public init(_ members: [any LinearOperator], weights: [Double]? = nil) {
    precondition(!members.isEmpty, "a sum has at least one member")
    precondition(
      members.allSatisfy {
        $0.inputDimension == members[0].inputDimension
          && $0.outputDimension == members[0].outputDimension
      }, "the members of a sum must have the same shape")
    precondition(weights == nil || weights?.count == members.count, "one weight per member")
    self.members = members
    self.weights = weights ?? members.map { _ in 1 }
  }

  /// The mean (w₁ A₁ + … + wₙ Aₙ) / (w₁ + … + wₙ), with equal weights if none are given. Precondition: the weights do
  /// not sum to 0.
  public static func average(
    of members: [any LinearOperator], weights: [Double]? = nil
  ) -> SumOperator {
    let weights = weights ?? members.map { _ in 1 }
    let sum = weights.reduce(0, +)
    precondition(sum != 0, "the weights of an average sum to 0")
    return SumOperator(members, weights: weights.map { $0 / sum })
  }

  /// n, the length of an input.
  public var inputDimension: Int { members[0].inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { members[0].outputDimension }
  /// The team that holds the vectors.
  public var innerProducts: (any InnerProducts)? { members[0].innerProducts }

  /// yᵢ ← Σ wⱼ Aⱼ vᵢ: (b, n) → (b, m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    sum(.forward, v, into: &y, vectors: b)
  }

  /// xᵢ ← Σ wⱼ Aⱼᵀ uᵢ: (b, m) → (b, n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    sum(.adjoint, u, into: &x, vectors: b)
  }

  private func sum(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int
  ) {
    members[0].apply(direction, v, into: &y, vectors: b)
    scale(&y, by: weights[0])
    guard members.count > 1 else { return }
    let room = buffer.room(for: y.count)
    for i in 1..<members.count {
      var product = room.mutableSpan
      members[i].apply(direction, v, into: &product, vectors: b)
      add(room.span, times: weights[i], to: &y)
    }
  }
}
