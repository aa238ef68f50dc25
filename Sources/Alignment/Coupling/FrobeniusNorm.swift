/// ‖J‖_F of a Jacobian of which some or all triplets are known.
public struct FrobeniusNorm: Sendable, Equatable, Codable {
  /// ‖J‖_F, or an estimate of it.
  public let value: Double
  /// One standard error of `value`; 0 if exact, nil for a single probe.
  public let standardError: Double?
  /// Whether `value` was computed from all singular values.
  public let isExact: Bool

  /// ‖J‖_F = (Σ σₖ²)^½ from all min(m, n) singular values.
  public init(allSingularValues s: [Double]) {
    value = CouplingNormalisation.frobenius.norm(s)
    standardError = 0
    isExact = true
  }

  /// The deflated Hutchinson estimate
  ///
  ///     ‖J‖_F² = Σ_{k ≤ K} σₖ² + ‖J (I − V Vᵀ)‖_F²,    E ‖J (I − V Vᵀ) z‖² = ‖J (I − V Vᵀ)‖_F²
  ///
  /// for probes z with E z zᵀ = I (signs ±1, or standard normal). `squaredProbeNorms` are ‖J (I − V Vᵀ) z‖². The
  /// large triplets are exact, so the probes only estimate the tail. The square is unbiased; the standard error of
  /// the root is that of the square divided by 2 ‖J‖_F.
  ///
  /// Hutchinson 1989; deflated as in Meyer et al., "Hutch++", SOSA 2021.
  public init(singularValues s: [Double], squaredProbeNorms: [Double]) {
    precondition(!squaredProbeNorms.isEmpty, "an estimate needs a probe")
    let tail = MeanEstimate(squaredProbeNorms)!
    let known = CouplingNormalisation.frobenius.norm(s)
    let value = (known * known + tail.mean).squareRoot()
    self.value = value
    standardError = tail.standardError.map { value > 0 ? $0 / (2 * value) : 0 }
    isExact = false
  }
}
