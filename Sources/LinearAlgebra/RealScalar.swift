import CKernels
public import RealModule

/// The two precisions everything is written for: `Float` for models, `Double` for tests and solvers.
///
/// Beyond swift-numerics' `Real` it asks for the products of a stored matrix with a thin block of vectors, which
/// `CKernels` has in both precisions.
public protocol RealScalar: Real, BinaryFloatingPoint, SIMDScalar, Sendable {
  /// Y ← W X (added to Y if `accumulating`), X (n, b) and Y (m, b) interleaved with the given strides ≥ b.
  static func multiply(
    _ w: StoredMatrix, _ x: UnsafePointer<Self>, stride ldx: Int,
    into y: UnsafeMutablePointer<Self>, stride ldy: Int, vectors b: Int, accumulating: Bool)

  /// X ← Wᵀ Y (added to X if `accumulating`), the layouts as in `multiply`.
  static func multiplyAdjoint(
    _ w: StoredMatrix, _ y: UnsafePointer<Self>, stride ldy: Int,
    into x: UnsafeMutablePointer<Self>, stride ldx: Int, vectors b: Int, accumulating: Bool)

  /// The stored type of this precision's own numbers.
  static var elementType: ElementType { get }
}

extension Float: RealScalar {
  /// Y ← W X by `CKernels`.
  public static func multiply(
    _ w: StoredMatrix, _ x: UnsafePointer<Float>, stride ldx: Int,
    into y: UnsafeMutablePointer<Float>, stride ldy: Int, vectors b: Int, accumulating: Bool
  ) {
    withUnsafePointer(to: w.kernel) {
      ck_multiply(
        Engine.current, $0, x, Int64(ldx), y, Int64(ldy), Int64(b), accumulating ? 1 : 0)
    }
  }

  /// X ← Wᵀ Y by `CKernels`.
  public static func multiplyAdjoint(
    _ w: StoredMatrix, _ y: UnsafePointer<Float>, stride ldy: Int,
    into x: UnsafeMutablePointer<Float>, stride ldx: Int, vectors b: Int, accumulating: Bool
  ) {
    withUnsafePointer(to: w.kernel) {
      ck_multiply_adjoint(
        Engine.current, $0, y, Int64(ldy), x, Int64(ldx), Int64(b), accumulating ? 1 : 0)
    }
  }

  /// How its own numbers are stored.
  public static var elementType: ElementType { .f32 }
}

extension Double: RealScalar {
  /// Y ← W X by `CKernels`.
  public static func multiply(
    _ w: StoredMatrix, _ x: UnsafePointer<Double>, stride ldx: Int,
    into y: UnsafeMutablePointer<Double>, stride ldy: Int, vectors b: Int, accumulating: Bool
  ) {
    withUnsafePointer(to: w.kernel) {
      ck_multiply_f64(
        Engine.current, $0, x, Int64(ldx), y, Int64(ldy), Int64(b), accumulating ? 1 : 0)
    }
  }

  /// X ← Wᵀ Y by `CKernels`.
  public static func multiplyAdjoint(
    _ w: StoredMatrix, _ y: UnsafePointer<Double>, stride ldy: Int,
    into x: UnsafeMutablePointer<Double>, stride ldx: Int, vectors b: Int, accumulating: Bool
  ) {
    withUnsafePointer(to: w.kernel) {
      ck_multiply_adjoint_f64(
        Engine.current, $0, y, Int64(ldy), x, Int64(ldx), Int64(b), accumulating ? 1 : 0)
    }
  }

  /// How its own numbers are stored.
  public static var elementType: ElementType { .f64 }
}
