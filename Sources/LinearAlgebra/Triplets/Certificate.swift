/// What is known of the singular values of an operator that a solver did not find.
///
/// With the `deflated` largest triplets found, U Σ Vᵀ, the rest of the operator is B = (I − U Uᵀ) A (I − V Vᵀ), and
///
///     ‖B‖₂ ≤ S = `outside`,    wrong with probability δ = `failureProbability` at most,
///
/// over the random vectors that B was probed with. Since A differs from U Σ Vᵀ + B by the residuals R of those triplets alone,
/// σᵢ(A) ≤ max(σ̂ᵢ, S) + ‖R‖₂ for every i; below, σ̂ᵢ bounds σᵢ anyway. Where S + ‖R‖₂ < σ̂_K nothing is missing among
/// the K largest.
public struct Certificate: Sendable, Equatable, Codable {
  /// S: no singular value beyond the deflated ones is larger.
  public var outside: Double
  /// δ; 0 where all of the operator was seen.
  public var failureProbability: Double
  /// K′, how many triplets were taken out: those that were asked for and some beyond them.
  public var deflated: Int
  /// ‖R‖₂ of those triplets, bounded by the root of the sum of their squared residual norms.
  public var residualNorm: Double
  /// Whether S + ‖R‖₂ is below the last value that was asked for, so that none of those is missing.
  public var isProof: Bool
  /// Triplets that the solver had missed and the search brought in.
  public var broughtIn: Int
  /// What the search cost; part of the report's count.
  public var applications: ApplicationCount

  /// What a search ended with.
  public init(
    outside: Double, failureProbability: Double, deflated: Int, residualNorm: Double, isProof: Bool,
    broughtIn: Int = 0, applications: ApplicationCount = ApplicationCount()
  ) {
    self.outside = outside
    self.failureProbability = failureProbability
    self.deflated = deflated
    self.residualNorm = residualNorm
    self.isProof = isProof
    self.broughtIn = broughtIn
    self.applications = applications
  }
}

/// Triplets beyond those that were asked for, that a solve came upon: their residual norms are measured too, and need not
/// be within the tolerance.
public struct FurtherTriplets: Sendable {
  /// σ, going on where the asked ones end, largest first.
  public var singularValues: [Double]
  /// Row i is the left vector of value i.
  public var leftVectors: Matrix<Double>
  /// Row i is the right vector of value i.
  public var rightVectors: Matrix<Double>
  /// max(‖A v − σ u‖, ‖Aᵀ u − σ v‖), measured.
  public var residualNorms: [Double]

  /// Triplets and their residual norms.
  public init(
    singularValues: [Double], leftVectors: Matrix<Double>, rightVectors: Matrix<Double>,
    residualNorms: [Double]
  ) {
    self.singularValues = singularValues
    self.leftVectors = leftVectors
    self.rightVectors = rightVectors
    self.residualNorms = residualNorms
  }
}
