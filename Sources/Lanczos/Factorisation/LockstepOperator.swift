public import LinearAlgebra

/// Several operators A₀, A₁, … of one shape that are cheaper to apply together than one by one.
///
/// The Jacobians of many prompts at one layer share its weights: one reading of the weights serves them all.
public protocol LockstepOperator: AnyObject {
  /// r, how many operators.
  var problems: Int { get }
  /// n, the length of an input.
  var inputDimension: Int { get }
  /// m, the length of an output.
  var outputDimension: Int { get }
  /// yₚ ← Aₚ vₚ for every p in `active` (ascending), b vectors each: (active, b, n) → (active, b, m).
  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int])
  /// xₚ ← Aₚᵀ uₚ for every p in `active` (ascending), b vectors each: (active, b, m) → (active, b, n).
  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int])
}

/// Operators that share a shape but nothing else, applied one after another.
///
/// A group of one is how a single operator enters the lockstep solver.
public final class LockstepGroup: LockstepOperator {
  private let members: [any LinearOperator]

  /// A group of at least one operator. Precondition: all of one shape.
  public init(_ members: [any LinearOperator]) {
    precondition(!members.isEmpty, "a group has at least one member")
    precondition(
      members.allSatisfy {
        $0.inputDimension == members[0].inputDimension
          && $0.outputDimension == members[0].outputDimension
      }, "the members of a group have one shape")
    self.members = members
  }

  /// r, how many operators.
  public var problems: Int { members.count }
  /// n, the length of an input.
  public var inputDimension: Int { members[0].inputDimension }
  /// m, the length of an output.
  public var outputDimension: Int { members[0].outputDimension }

  /// yₚ ← Aₚ vₚ for every p in `active`, b vectors each.
  public func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    let (n, m) = (b * inputDimension, b * outputDimension)
    for (lane, p) in active.enumerated() {
      var part = y.extracting(lane * m..<(lane + 1) * m)
      members[p].apply(v.extracting(lane * n..<(lane + 1) * n), into: &part, vectors: b)
    }
  }

  /// xₚ ← Aₚᵀ uₚ for every p in `active`, b vectors each.
  public func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    let (n, m) = (b * inputDimension, b * outputDimension)
    for (lane, p) in active.enumerated() {
      var part = x.extracting(lane * n..<(lane + 1) * n)
      members[p].applyAdjoint(u.extracting(lane * m..<(lane + 1) * m), into: &part, vectors: b)
    }
  }
}
