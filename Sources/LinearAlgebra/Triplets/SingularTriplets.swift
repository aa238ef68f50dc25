/// The largest singular triplets (σᵢ, uᵢ, vᵢ) of an operator A, A vᵢ ≈ σᵢ uᵢ and Aᵀ uᵢ ≈ σᵢ vᵢ, with measured
/// residual norms.
public struct SingularTriplets: Sendable {
  /// σ (k), largest first.
  public let singularValues: [Double]
  /// U (k, m): row i is uᵢ, orthonormal.
  public let leftVectors: Matrix<Double>
  /// V (k, n): row i is vᵢ, orthonormal.
  public let rightVectors: Matrix<Double>
  /// max(‖A vᵢ − σᵢ uᵢ‖, ‖Aᵀ uᵢ − σᵢ vᵢ‖) (k), measured by applying A and Aᵀ once more, not estimated.
  public let residualNorms: [Double]
  /// The solver's report.
  public var report: ConvergenceReport
  /// Triplets found beyond these: they show how the spectrum continues after the cut.
  public var further: FurtherTriplets?
  /// What is known about triplets that were not found; nil if the solver did not search.
  public var certificate: Certificate?
  /// The products that the residual norms were measured with, further triplets included; nil if they were not kept.
  package var products: TripletProducts?

  /// Creates triplets with their residual norms and the report.
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

  /// The triplets themselves; throws `NotConverged`, which gives the solver's remedy, if some did not converge.
  public func requireConverged() throws -> SingularTriplets {
    guard report.isConverged else { throw NotConverged(report: report) }
    return self
  }
}

/// A V (k, m) and Aᵀ U (k, n) of found triplets, row by row.
package struct TripletProducts: Sendable {
  /// A V.
  package let images: Matrix<Double>
  /// Aᵀ U.
  package let adjointImages: Matrix<Double>

  /// The products with all found vectors.
  package init(images: Matrix<Double>, adjointImages: Matrix<Double>) {
    (self.images, self.adjointImages) = (images, adjointImages)
  }
}

/// What a solver did, and how it ended.
public struct ConvergenceReport: Sendable, Codable {
  /// How a solve ended.
  public enum Outcome: Sendable, Equatable, Codable {
    /// Every residual norm is within tolerance · σ₁.
    case converged
    /// Some residual norm is larger.
    case stopped(Stop)
  }

  /// How the solve ended.
  public var outcome: Outcome
  /// The solver that answered: `arpack`, `dense`, `block`, `randomized`.
  public var solver: String
  /// The number of triplets requested.
  public var requested: Int
  /// The number of triplets whose residual norm is within tolerance.
  public var converged: Int
  /// The number of restarts of the iteration.
  public var restarts: Int
  /// The vectors and passes of the solve, including those that measured the residuals.
  public var applications: ApplicationCount
  /// The number of basis vectors.
  public var subspaceDimension: Int
  /// The number of vectors in a block of the iteration; nil for solvers that have no blocks.
  public var blockSize: Int?
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The seed of the start vectors.
  public var seed: UInt64

  /// Whether all triplets converged.
  public var isConverged: Bool { outcome == .converged }

  /// Creates a report.
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
