/// The misfit of Jacobian i that is expected if the basis of j is unrelated to it.
///
/// With U_j and V_j independent and uniformly distributed, A has independent, nearly normal entries of variance
/// ‖Jᵢ‖_F²/d², so
///
///     signed    E m² = 1 + (K/d)² ‖J‖_F² / ‖S_K‖_F²
///     absolute  E m² = the same − 2 √(2/π) (‖J‖_F / d) tr S_K / ‖S_K‖_F²          (E|a| = √(2/π) · deviation)
///
/// for p = 2; any other p divides by ‖S_K‖_p instead. For a flat spectrum 1 − m^(1) is about 1 − 1/√K: with K = p d
/// the trace score increases with the width on its own, which is why the null level is reported beside the score. The
/// crossed form has the same null level. Derived here; simulation agrees within 1 %.
public struct NullLevel: Sendable, Equatable {
  /// ‖Jᵢ‖_F, exact or estimated.
  public let frobeniusNorm: FrobeniusNorm
  /// The width d.
  public let width: Int

  /// The null level of a Jacobian (d, d) with this norm.
  public init(frobeniusNorm: FrobeniusNorm, width: Int) {
    precondition(width >= 1, "a Jacobian has a positive width")
    self.frobeniusNorm = frobeniusNorm
    self.width = width
  }

  /// E m² at the rank of `s` = s_{i,1} … s_{i,K}; nil if tr S_K = 0 or a number is not finite.
  public func meanSquareMisfit(
    singularValues s: some Collection<Double>, sign: CouplingSign = .signed,
    normalisation: CouplingNormalisation = .frobenius
  ) -> Double? {
    let frobenius = CouplingNormalisation.frobenius.norm(s)
    guard frobenius > 0, frobenius.isFinite else { return nil }
    let d = Double(width)
    let norm = frobeniusNorm.value / frobenius  // ‖J‖_F / ‖S_K‖_F
    let spread = Double(s.count) / d * norm
    var square = 1 + spread * spread
    if sign == .absolute {
      let trace = CouplingNormalisation.trace.norm(s) / frobenius
      square -= 2 * (2 / Double.pi).squareRoot() * norm / d * trace
    }
    let ratio = frobenius / normalisation.norm(s)
    let result = square * ratio * ratio
    return result.isFinite ? result : nil
  }

  /// The score of the misfit (E m²)^½, which is 1 − (E m²)^½ for `one-minus`. One number per Jacobian i; nil as
  /// above.
  public func score(
    _ score: CouplingScore = .oneMinus, singularValues s: some Collection<Double>,
    sign: CouplingSign = .signed, normalisation: CouplingNormalisation = .frobenius
  ) -> Double? {
    meanSquareMisfit(singularValues: s, sign: sign, normalisation: normalisation)
      .map { score($0.squareRoot()) }
  }
}
