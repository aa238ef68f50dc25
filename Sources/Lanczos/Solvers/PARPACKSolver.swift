public import LinearAlgebra
import MPIProcesses
import Processes

/// The `count` largest singular triplets of an operator whose vectors the processes of an MPI job hold between them, by
/// PARPACK: `ARPACKSolver`'s iteration, with `pdsaupd`.
///
/// Each process holds subspaceDimension · min(m, n) / processes numbers, and at least one element of every vector. Whole
/// vectors are left to `ARPACKSolver`, and count ≥ min(m, n) − 1 to `BlockLanczosSolver`; the report says so. Two
/// applications to single vectors read the weights twice per step, where the block solver reads them once for 8 vectors:
/// prefer that.
/// Maschhoff, Sorensen, "P_ARPACK: an efficient portable large scale eigenvalue package for distributed memory parallel
/// architectures", PARA 1996.
public struct PARPACKSolver: PartialSVDSolver {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The number of basis vectors (ncv), more than `count`; nil lets the solver choose.
  public var subspaceDimension: Int?
  /// The most restarts allowed (mxiter).
  public var restarts: Int
  /// The seed of the start vector.
  public var seed: UInt64
  /// What is to be proven about triplets that were not found.
  public var certify: CertifyMode

  /// Creates a solver with these settings.
  public init(
    tolerance: Double = 1e-5, subspaceDimension: Int? = nil, restarts: Int = 300, seed: UInt64 = 0,
    certify: CertifyMode = .auto
  ) {
    self.tolerance = tolerance
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.seed = seed
    self.certify = certify
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request, for vectors that are not held by MPI's processes or not by all of
  /// them, and in a build without MPI; `OperatorError` for NaN or a wrong adjoint, `ARPACKError` if PARPACK fails.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    #if MPI
      guard let innerProducts = a.innerProducts else {
        return try ARPACKSolver(
          tolerance: tolerance, subspaceDimension: subspaceDimension, restarts: restarts,
          seed: seed, certify: certify
        ).partialSVD(of: a, count: count)
      }
      try checkTolerance(tolerance)
      try certify.check()
      try checkCount("restarts", restarts)
      let checked = try CheckedOperator(a, count: count)
      guard count < checked.inputDimension - 1 else {
        return try BlockLanczosSolver(tolerance: tolerance, seed: seed, certify: certify)
          .partialSVD(of: a, count: count)
      }
      guard let team = (innerProducts as? TeamInnerProducts)?.team as? MPICommunicator else {
        throw SolverError.unavailable(
          solver: "parpack", because: "the vectors are not held by processes of MPI")
      }
      guard checked.inputSpace.ranges.allSatisfy({ !$0.isEmpty }) else {
        throw SolverError.unavailable(
          solver: "parpack",
          because: "some of \(team.size) processes hold none of \(checked.inputDimension) elements")
      }
      let solve = try GramSolve(
        count: count, subspaceDimension: subspaceDimension, restarts: restarts,
        tolerance: tolerance, seed: seed, certify: certify, order: checked.inputDimension,
        name: "parpack", communicator: team.fortranHandle)
      return try solve.triplets(of: checked)
    #else
      throw SolverError.unavailable(
        solver: "parpack", because: "this build has no MPI (the package trait MPI adds it)")
    #endif
  }
}
