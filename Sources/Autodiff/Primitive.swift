import LinearAlgebra

/// One recorded step of a program: the tangent and cotangent rules of a function at the point where it was evaluated.
///
/// A primitive keeps only what its rules need. For b tangents at once the tangent of a value of `count` numbers is
/// (count, b), interleaved: tangent j of number i at [i · b + j]. Rules allocate nothing.
package protocol Primitive<Scalar> {
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
  package var scratchCount: Int { 0 }
}
