/// What is known about the singular values of an operator that a solver did not find.
///
/// With the `deflated` largest triplets found, U Σ Vᵀ, the rest of the operator is B = (I − U Uᵀ) A (I − V Vᵀ), and
///
///     ‖B‖₂ ≤ S = `outside`,    wrong with probability δ = `failureProbability` at most,
///
/// over the random vectors that the solve began with or, after a search, that B was probed with. Since A differs from
/// U Σ Vᵀ + B only by the residuals R of those triplets, σᵢ(A) ≤ max(σ̂ᵢ, S) + ‖R‖₂ for every i; from below, σ̂ᵢ
/// bounds σᵢ anyway. If S + ‖R‖₂ < σ̂_K, nothing is missing among the K largest.
public struct Certificate: Sendable, Equatable, Codable {
  /// S: no singular value beyond the deflated ones is larger.
  public var outside: Double
  /// δ, 0 if the whole operator was seen.
  public var failureProbability: Double
  /// K′, the number of triplets deflated: those requested and some beyond them.
  public var deflated: Int
  /// ‖R‖₂ of those triplets, bounded by the root of the sum of their squared residual norms.
  public var residualNorm: Double
  /// Whether S + ‖R‖₂ is at most the last value requested, so that no requested triplet is missing.
  public var isProof: Bool
  /// The number of triplets that the solver had missed and the search added.
  public var broughtIn: Int
  /// The cost of the search, which is part of the report's count.
  public var applications: ApplicationCount

  /// Creates a certificate from what was proven.
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

/// Triplets found beyond those requested: their residual norms are measured too, but need not be within the
/// tolerance.
public struct FurtherTriplets: Sendable {
  /// σ, continuing where those of the requested triplets end, largest first.
  public var singularValues: [Double]
  /// The left vectors: row i belongs to value i.
  public var leftVectors: Matrix<Double>
  /// The right vectors: row i belongs to value i.
  public var rightVectors: Matrix<Double>
  /// max(‖A v − σ u‖, ‖Aᵀ u − σ v‖), measured.
  public var residualNorms: [Double]

  /// Creates further triplets with their residual norms.
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
