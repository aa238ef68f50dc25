import LinearAlgebra

/// One recorded step of a program: the tangent and cotangent rules of a function at the point where it was evaluated.
///
/// A primitive saves only what its rules need. A value of c features for r rows is stored feature by feature; for b
/// tangents at once, the tangent of feature i in row k is the b numbers from [(i · r + k) · b] on, one per tangent.
/// Rules allocate nothing. `Variable.init(_:of:by:)` adds a primitive of your own to a program.
public protocol Primitive<Scalar> {
  /// The precision that the primitive computes in.
  associatedtype Scalar: RealScalar
  /// The positions of the active inputs on the trace.
  var inputs: [Int] { get }
  /// The scratch memory that the rules need, in numbers per tangent.
  var scratchCount: Int { get }
  /// The bytes of stored weights that either rule reads.
  var weightBytes: Int { get }
  /// out ← J · (tangents of the inputs).
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>)
  /// (cotangents of the inputs) ← (cotangents of the inputs) + Jᵀ · cotangent, through `Workspace.target(of:)`.
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>)
}

extension Primitive {
  /// 0, since most rules need no scratch memory.
  public var scratchCount: Int { 0 }

  /// 0, since most rules read no weights.
  public var weightBytes: Int { 0 }
}
