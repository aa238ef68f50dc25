import CKernels
public import LinearAlgebra

extension RealScalar {
  /// Y ← W X (Y ← Y + W X if `accumulating`), with X (n, b) and Y (m, b) interleaved with the given strides ≥ b, by
  /// `CKernels`.
  @inline(__always)
  public static func multiply(
    _ w: StoredMatrix, _ x: UnsafePointer<Self>, stride ldx: Int,
    into y: UnsafeMutablePointer<Self>, stride ldy: Int, vectors b: Int, accumulating: Bool
  ) {
    if w.isTransposed {
      product(w, ck_multiply_adjoint, ck_multiply_adjoint_f64, x, ldx, y, ldy, b, accumulating)
    } else {
      product(w, ck_multiply, ck_multiply_f64, x, ldx, y, ldy, b, accumulating)
    }
  }

  /// X ← Wᵀ Y (X ← X + Wᵀ Y if `accumulating`), with the layouts of `multiply`.
  @inline(__always)
  public static func multiplyAdjoint(
    _ w: StoredMatrix, _ y: UnsafePointer<Self>, stride ldy: Int,
    into x: UnsafeMutablePointer<Self>, stride ldx: Int, vectors b: Int, accumulating: Bool
  ) {
    if w.isTransposed {
      product(w, ck_multiply, ck_multiply_f64, y, ldy, x, ldx, b, accumulating)
    } else {
      product(w, ck_multiply_adjoint, ck_multiply_adjoint_f64, y, ldy, x, ldx, b, accumulating)
    }
  }

  private typealias Kernel<Scalar> = (
    OpaquePointer?, UnsafePointer<ck_matrix>?, UnsafePointer<Scalar>?, Int64,
    UnsafeMutablePointer<Scalar>?, Int64, Int64, Int32
  ) -> Void

  private static func product(
    _ w: StoredMatrix, _ single: Kernel<Float>, _ double: Kernel<Double>, _ x: UnsafePointer<Self>,
    _ ldx: Int, _ y: UnsafeMutablePointer<Self>, _ ldy: Int, _ b: Int, _ accumulating: Bool
  ) {
    let (x, y) = (UnsafeRawPointer(x), UnsafeMutableRawPointer(y))
    withUnsafePointer(to: w.kernel) {
      if Self.self == Float.self {
        single(
          Engine.current, $0, x.assumingMemoryBound(to: Float.self), Int64(ldx),
          y.assumingMemoryBound(to: Float.self), Int64(ldy), Int64(b), accumulating ? 1 : 0)
      } else {
        double(
          Engine.current, $0, x.assumingMemoryBound(to: Double.self), Int64(ldx),
          y.assumingMemoryBound(to: Double.self), Int64(ldy), Int64(b), accumulating ? 1 : 0)
      }
    }
  }

  /// The stored type that has this precision.
  public static var elementType: ElementType { Self.self == Float.self ? .f32 : .f64 }
}
