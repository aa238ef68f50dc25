public import ComplexModule
public import RealModule

/// The eigenpairs (λᵢ, xᵢ) of largest modulus of a real square operator A, A xᵢ ≈ λᵢ xᵢ, with measured residual
/// norms.
///
/// Eigenvalues of a real operator are real or come in conjugate pairs λ, λ̄ with vectors x, x̄. Both members of a
/// pair are given, the one with the positive imaginary part first; the second is left out only where the number
/// requested ends between them.
public struct Eigenpairs: Sendable {
  /// λ (k), in descending order of modulus.
  public let values: [Complex<Double>]
  /// Re X (k, n): row i is the real part of xᵢ; ‖xᵢ‖ = 1.
  public let realParts: Matrix<Double>
  /// Im X (k, n).
  public let imaginaryParts: Matrix<Double>
  /// ‖A xᵢ − λᵢ xᵢ‖ (k), measured by applying A once more, not estimated.
  ///
  /// λᵢ is an eigenvalue of a matrix that differs from A by no more than this in norm. How far it can be from an
  /// eigenvalue of A depends on A's departure from normality: for a normal A, no farther than the residual norm.
  public let residualNorms: [Double]
  /// The solver's report. Its tolerance is relative to |λ₁|.
  public let report: ConvergenceReport

  /// Creates eigenpairs from their parts, with the residual norms and the report.
  public init(
    values: [Complex<Double>], realParts: Matrix<Double>, imaginaryParts: Matrix<Double>,
    residualNorms: [Double], report: ConvergenceReport
  ) {
    self.values = values
    self.realParts = realParts
    self.imaginaryParts = imaginaryParts
    self.residualNorms = residualNorms
    self.report = report
  }
}
