import CKrylensHeader
import LinearAlgebra

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jvp_f32(
  _ jacobian: OpaquePointer?, _ vectors: Int64, _ v: UnsafePointer<Float>?, _ v_count: Int,
  _ y: UnsafeMutablePointer<Float>?, _ y_count: Int
) -> krylens_status { product(jacobian, .forward, vectors, ("v", v, v_count), ("y", y, y_count)) }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_jvp_f64(
  _ jacobian: OpaquePointer?, _ vectors: Int64, _ v: UnsafePointer<Double>?, _ v_count: Int,
  _ y: UnsafeMutablePointer<Double>?, _ y_count: Int
) -> krylens_status { product(jacobian, .forward, vectors, ("v", v, v_count), ("y", y, y_count)) }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_vjp_f32(
  _ jacobian: OpaquePointer?, _ vectors: Int64, _ u: UnsafePointer<Float>?, _ u_count: Int,
  _ x: UnsafeMutablePointer<Float>?, _ x_count: Int
) -> krylens_status { product(jacobian, .adjoint, vectors, ("u", u, u_count), ("x", x, x_count)) }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_vjp_f64(
  _ jacobian: OpaquePointer?, _ vectors: Int64, _ u: UnsafePointer<Double>?, _ u_count: Int,
  _ x: UnsafeMutablePointer<Double>?, _ x_count: Int
) -> krylens_status { product(jacobian, .adjoint, vectors, ("u", u, u_count), ("x", x, x_count)) }

/// The products of vectors with a Jacobian or its transpose; all arguments are checked before any vector is read.
private func product<Outer: RealScalar>(
  _ jacobian: OpaquePointer?, _ direction: ProductDirection, _ vectors: Int64,
  _ source: (name: String, start: UnsafePointer<Outer>?, count: Int),
  _ target: (name: String, start: UnsafeMutablePointer<Outer>?, count: Int)
) -> krylens_status {
  answer {
    let handle: JacobianHandle = try Handles.object(jacobian)
    guard vectors >= 0 else {
      throw Failure.argument("vectors is \(vectors); give 0 or more")
    }
    let (from, to) =
      direction == .forward ? (handle.inputs, handle.outputs) : (handle.outputs, handle.inputs)
    let v = UnsafeBufferPointer(
      start: source.start,
      count: try checked(
        source.name, source.start, source.count, vectors: vectors, length: from))
    let y = UnsafeMutableBufferPointer(
      start: target.start,
      count: try checked(
        target.name, UnsafePointer(target.start), target.count, vectors: vectors, length: to))
    guard vectors > 0 else { return }
    let (read, written) = (UnsafeRawBufferPointer(v), UnsafeRawBufferPointer(y))
    guard
      read.baseAddress! + read.count <= written.baseAddress!
        || written.baseAddress! + written.count <= read.baseAddress!
    else {
      throw Failure.argument(
        "\(source.name) and \(target.name) overlap; give a separate array for the products")
    }
    guard allFinite(v) else {
      let place = v.firstIndex { !$0.isFinite }!
      throw Failure.argument(
        "\(source.name): vector \(place / from), entry \(place % from) is \(v[place]); a product needs finite "
          + "numbers")
    }
    try handle.exclusively {
      try handle.multiply(direction, v, into: y, vectors: Int(vectors))
    }
  }
}

/// The array of `vectors` vectors. Throws `Failure` unless the caller's count equals vectors · length.
private func checked<Outer>(
  _ name: String, _ start: UnsafePointer<Outer>?, _ count: Int, vectors: Int64, length: Int
) throws(Failure) -> Int {
  let (needed, overflow) = Int(vectors).multipliedReportingOverflow(by: length)
  guard !overflow, needed == count, needed < 1 << 48 else {
    throw .argument(
      "\(name) has \(UInt(bitPattern: count)) numbers; \(vectors) vectors of \(length) are needed")
  }
  guard needed > 0 else { return 0 }
  guard let start else { throw .argument("\(name) is NULL; give an array") }
  guard UInt(bitPattern: start) % UInt(MemoryLayout<Outer>.alignment) == 0 else {
    throw .argument("\(name) is not aligned for its type of numbers; copy it to an aligned array")
  }
  return needed
}
