/// Linear maps A₀, A₁, … : ℝⁿ → ℝᵐ that are cheaper to apply together than one by one, known only by their products.
///
/// The Jacobians of many prompts at one layer share its weights, which are read once for all of them. A
/// `LinearOperator` is a batch of one. A batch must not be used from two threads at once unless the conforming type
/// allows it.
public protocol BatchedOperator: AnyObject {
  /// r, the number of operators that share an application.
  var batch: Int { get }
  /// n, the length of an input.
  var inputDimension: Int { get }
  /// m, the length of an output.
  var outputDimension: Int { get }
  /// The team whose members hold the vectors between them; nil, the default, if they are whole.
  ///
  /// In a team n and m are the lengths of the parts held here.
  var innerProducts: (any InnerProducts)? { get }
  /// yₚ ← Aₚ vₚ for every p in `active` (ascending), b vectors each: (active, b, n) → (active, b, m).
  ///
  /// Overwrites `y` and leaves `v` unchanged.
  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int])
  /// xₚ ← Aₚᵀ uₚ for every p in `active` (ascending), b vectors each: (active, b, m) → (active, b, n).
  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int])
  /// Aₚ as an operator of its own.
  func member(_ p: Int) -> any LinearOperator
}

/// The direction in which an operator is applied: A v or Aᵀ u.
public enum ProductDirection: Sendable {
  /// A v.
  case forward
  /// Aᵀ u.
  case adjoint

  /// The opposite direction.
  public var reversed: ProductDirection { self == .forward ? .adjoint : .forward }
}

extension BatchedOperator {
  /// None: vectors are whole.
  public var innerProducts: (any InnerProducts)? { nil }

  /// Aₚ as an operator of its own; its applications leave out all other members.
  public func member(_ p: Int) -> any LinearOperator { BatchMember(self, p) }

  /// The length of a product in this direction.
  package func outputDimension(_ direction: ProductDirection) -> Int {
    direction == .forward ? outputDimension : inputDimension
  }

  /// Makes one application in the given direction.
  package func apply(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int, active: [Int]
  ) {
    switch direction {
    case .forward: apply(v, into: &y, vectors: b, active: active)
    case .adjoint: applyAdjoint(v, into: &y, vectors: b, active: active)
    }
  }
}

/// One operator of a batch.
private final class BatchMember: LinearOperator {
  private let base: any BatchedOperator
  private let active: [Int]

  init(_ base: any BatchedOperator, _ p: Int) {
    precondition(p >= 0 && p < base.batch, "member \(p) of a batch of \(base.batch)")
    self.base = base
    active = [p]
  }

  var inputDimension: Int { base.inputDimension }
  var outputDimension: Int { base.outputDimension }
  var innerProducts: (any InnerProducts)? { base.innerProducts }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    base.apply(v, into: &y, vectors: b, active: active)
  }

  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    base.applyAdjoint(u, into: &x, vectors: b, active: active)
  }
}

/// Operators that share a shape but nothing else, applied one after another.
public final class OperatorBatch: BatchedOperator {
  private let members: [any LinearOperator]

  /// A batch of at least one operator. Precondition: all have the same shape.
  public init(_ members: [any LinearOperator]) {
    precondition(!members.isEmpty, "a batch has at least one member")
    precondition(
      members.allSatisfy {
        $0.inputDimension == members[0].inputDimension
          && $0.outputDimension == members[0].outputDimension
      }, "the members of a batch must have the same shape")
    self.members = members
  }

  /// r, the number of operators.
  public var batch: Int { members.count }
  /// n, the length of an input.
  public var inputDimension: Int { members[0].inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { members[0].outputDimension }
  /// The team that holds the vectors, the same for all operators.
  public var innerProducts: (any InnerProducts)? { members[0].innerProducts }

  /// Aₚ.
  public func member(_ p: Int) -> any LinearOperator { members[p] }

  /// yₚ ← Aₚ vₚ for every p in `active`, b vectors each.
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    each(.forward, v, b * inputDimension, into: &y, b * outputDimension, vectors: b, active)
  }

  /// xₚ ← Aₚᵀ uₚ for every p in `active`, b vectors each.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    each(.adjoint, u, b * outputDimension, into: &x, b * inputDimension, vectors: b, active)
  }

  private func each(
    _ direction: ProductDirection, _ v: Span<Double>, _ from: Int,
    into y: inout MutableSpan<Double>, _ to: Int, vectors b: Int, _ active: [Int]
  ) {
    for (i, p) in active.enumerated() {
      var part = y.extracting(i * to..<(i + 1) * to)
      members[p].apply(
        direction, v.extracting(i * from..<(i + 1) * from), into: &part, vectors: b, active: [0])
    }
  }
}
