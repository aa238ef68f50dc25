import RealModule

/// What a block of independent standard normal numbers very probably does to a subspace fixed before it was drawn.
enum GaussianBlock {
  /// A lower bound on the least singular value of a b × m matrix of independent standard normal numbers, m ≤ b, valid
  /// with probability at least 1 − δ.
  ///
  /// P(σ_min ≤ η) ≤ 2 L η^q / q with q = b − m + 1 and L = 2^(q/2 − 1) Γ((b + 1)/2) / (Γ(m/2) Γ(q)): the density of
  /// λ = σ_min² is at most L λ^(q/2 − 1) e^(−λ/2), because Π (λᵢ − λ) ≤ Π λᵢ in the joint density of the eigenvalues
  /// leaves that of a (b + 1) × (m − 1) matrix (Edelman, "Eigenvalues and condition numbers of random matrices", SIAM J. Matrix
  /// Anal. Appl. 9, 1988; Chen and Dongarra, "Condition numbers of Gaussian random matrices", SIAM J. Matrix Anal.
  /// Appl. 27, 2005). For m = 1, a vector's norm, L λ^(b/2 − 1) e^(−λ/2) is the density itself.
  static func leastSingularValue(
    rows b: Int, columns m: Int = 1, failureProbability δ: Double
  ) -> Double {
    precondition(1 <= m && m <= b, "a block of \(b) rows and \(m) columns")
    let q = Double(b - m + 1)
    let logL =
      (q / 2 - 1) * Double.log(2) + Double.logGamma(Double(b + 1) / 2)
      - Double.logGamma(Double(m) / 2) - Double.logGamma(q)
    return Double.exp((Double.log(δ * q / 2) - logL) / q)
  }
}
