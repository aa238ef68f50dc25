public import ComplexModule
public import RealModule

/// The eigenpairs (λᵢ, xᵢ) of largest modulus of a real square operator A, A xᵢ ≈ λᵢ xᵢ, and the proof.
///
/// Eigenvalues of a real operator are real or come in pairs λ, λ̄ whose vectors are x, x̄. Both of a pair are given, the one
/// with the positive imaginary part first; only where the number asked for ends between the two, the second is left out.
public struct Eigenpairs: Sendable {
  /// λ (k), by falling modulus.
  public let values: [Complex<Double>]
  /// Re X (k, n): row i is the real part of xᵢ; ‖xᵢ‖ = 1.
  public let realParts: Matrix<Double>
  /// Im X (k, n).
  public let imaginaryParts: Matrix<Double>
  /// ‖A xᵢ − λᵢ xᵢ‖ (k), measured by applying A once more, not estimated.
  ///
  /// λᵢ is an eigenvalue of a matrix that differs from A by no more than this in norm. How far that lets it be from one of
  /// A's own is a matter of how far A is from normal: no farther than the residual norm where A is.
  public let residualNorms: [Double]
  /// How the solver came to them. Its tolerance is times |λ₁|.
  public let report: ConvergenceReport

  /// Eigenpairs and what is known of them.
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
