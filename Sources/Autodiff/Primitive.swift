import LinearAlgebra

/// One recorded step of a program: the tangent and cotangent rules of a function at the point where it was evaluated.
///
/// A primitive keeps only what its rules need. A value of c features for r rows lies feature by feature; for b tangents at
/// once the tangent of its feature i in row k is the b numbers from [(i · r + k) · b] on, one per tangent. Rules allocate
/// nothing. `Variable.init(_:of:by:)` puts one of your own into a program.
public protocol Primitive<Scalar> {
  /// The precision it runs in.
  associatedtype Scalar: RealScalar
  /// Positions of the active inputs on the trace.
  var inputs: [Int] { get }
  /// Scratch the rules need, in numbers per tangent.
  var scratchCount: Int { get }
  /// out ← J · (tangents of the inputs).
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>)
  /// (cotangents of the inputs) ← + Jᵀ · cotangent, through `Workspace.target(of:)`.
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>)
}

extension Primitive {
  /// Most rules need none.
  public var scratchCount: Int { 0 }
}
