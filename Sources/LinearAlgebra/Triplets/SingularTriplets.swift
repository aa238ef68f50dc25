/// The largest singular triplets (σᵢ, uᵢ, vᵢ) of an operator A, A vᵢ ≈ σᵢ uᵢ and Aᵀ uᵢ ≈ σᵢ vᵢ, and the proof.
public struct SingularTriplets: Sendable {
  /// σ (k), largest first.
  public let singularValues: [Double]
  /// U (k, m): row i is uᵢ, orthonormal.
  public let leftVectors: Matrix<Double>
  /// V (k, n): row i is vᵢ, orthonormal.
  public let rightVectors: Matrix<Double>
  /// max(‖A vᵢ − σᵢ uᵢ‖, ‖Aᵀ uᵢ − σᵢ vᵢ‖) (k), measured by applying A and Aᵀ once more, not estimated.
  public let residualNorms: [Double]
  /// How the solver came to them.
  public let report: ConvergenceReport
  /// Triplets beyond them that the solve came upon: they say how the spectrum goes on behind the cut.
  public var further: FurtherTriplets?
  /// What is known of those that were not found; nil where the solver did not look.
  public var certificate: Certificate?

  /// Triplets and what is known of them.
  public init(
    singularValues: [Double], leftVectors: Matrix<Double>, rightVectors: Matrix<Double>,
    residualNorms: [Double], report: ConvergenceReport, further: FurtherTriplets? = nil,
    certificate: Certificate? = nil
  ) {
    self.further = further
    self.certificate = certificate
    self.singularValues = singularValues
    self.leftVectors = leftVectors
    self.rightVectors = rightVectors
    self.residualNorms = residualNorms
    self.report = report
  }

  /// These triplets, or an error that carries the solver's remedy when some did not converge.
  public func requireConverged() throws -> SingularTriplets {
    guard report.isConverged else { throw NotConverged(report: report) }
    return self
  }
}

/// What a solver did, and how it ended.
public struct ConvergenceReport: Sendable, Codable {
  /// How a solve ended.
  public enum Outcome: Sendable, Equatable, Codable {
    /// Every residual norm is within tolerance · σ₁.
    case converged
    /// Some are not.
    case stopped(Stop)
  }

  /// How it ended.
  public var outcome: Outcome
  /// The solver that answered: `arpack`, `dense`, `block`, `randomized`.
  public var solver: String
  /// Triplets asked for.
  public var requested: Int
  /// Triplets whose residual norm is within tolerance.
  public var converged: Int
  /// Restarts of the iteration.
  public var restarts: Int
  /// Vectors and passes, those that measured the residuals included.
  public var applications: ApplicationCount
  /// Basis vectors kept.
  public var subspaceDimension: Int
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double
  /// Of the start vectors.
  public var seed: UInt64

  /// Whether all triplets converged.
  public var isConverged: Bool { outcome == .converged }

  /// A report.
  public init(
    outcome: Outcome, solver: String, requested: Int, converged: Int, restarts: Int,
    applications: ApplicationCount, subspaceDimension: Int, tolerance: Double, seed: UInt64
  ) {
    self.outcome = outcome
    self.solver = solver
    self.requested = requested
    self.converged = converged
    self.restarts = restarts
    self.applications = applications
    self.subspaceDimension = subspaceDimension
    self.tolerance = tolerance
    self.seed = seed
  }
}

/// A solve that stopped early, as an error.
public struct NotConverged: Error, CustomStringConvertible, Sendable {
  /// What the solver reported.
  public let report: ConvergenceReport
  /// What is wrong and what to do.
  public var description: String {
    guard case .stopped(let stop) = report.outcome else { return "converged" }
    return "\(report.converged) of \(report.requested) triplets converged; \(stop)"
  }
}
