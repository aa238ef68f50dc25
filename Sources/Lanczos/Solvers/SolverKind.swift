/// The solvers, by the names that options and records use.
public enum SolverKind: String, CaseIterable, Sendable, Codable {
  /// The fastest one according to measurements, see `chosen(for:width:)`.
  case auto
  /// `ARPACKSolver`.
  case arpack
  /// `BlockLanczosSolver`.
  case block
  /// `RandomizedSolver`.
  case randomized
  /// `DenseSolver`.
  case dense
  /// `PARPACKSolver`.
  case parpack

  /// The solvers of a single process. PARPACK, the other one, computes with the processes of an MPI job.
  public static let allCases: [SolverKind] = [.auto, .arpack, .block, .randomized, .dense]

  /// Whether this build has the solver: PARPACK comes with the package trait MPI.
  public var isAvailable: Bool {
    #if MPI
      true
    #else
      self != .parpack
    #endif
  }

  /// Whether a team that holds the vectors between its members can use the solver; `auto` then stands for `block`.
  public var canShareVectors: Bool {
    switch self {
    case .auto, .block, .randomized, .parpack: true
    case .arpack, .dense: false
    }
  }

  /// The solver used for `count` triplets of a matrix of this width: what `auto` stands for, and otherwise `self`.
  /// In a team that holds the vectors between its members `auto` is the block solver.
  ///
  /// The block solver reads the weights a third as often as ARPACK and was faster on all residual Jacobians measured
  /// but the smallest. The dense SVD overtakes it at a share of the width that grows from an eighth (width 256)
  /// through a quarter (512 and 1024) to more than a third (2048), where its memory begins to matter: it is used from
  /// a quarter on, up to width 1024. (`benchmarks/suite.py solvers` measures this.)
  public func chosen(for count: Int, width: Int, sharesVectors: Bool = false) -> SolverKind {
    guard self == .auto else { return self }
    guard !sharesVectors else { return .block }
    return width <= 1024 && 4 * count > width ? .dense : .block
  }

  /// The solver with its other settings at their defaults; `blockSize` is for the block solver, nil lets it choose.
  public func solver(
    tolerance: Double = 1e-5, seed: UInt64 = 0, blockSize: Int? = nil, certify: CertifyMode = .auto
  ) -> any PartialSVDSolver {
    switch self {
    case .arpack: ARPACKSolver(tolerance: tolerance, seed: seed, certify: certify)
    case .auto, .block:
      BlockLanczosSolver(
        tolerance: tolerance, blockSize: blockSize, seed: seed, certify: certify)
    case .randomized: RandomizedSolver(tolerance: tolerance, seed: seed, certify: certify)
    case .dense: DenseSolver(tolerance: tolerance, seed: seed, certify: certify)
    case .parpack: PARPACKSolver(tolerance: tolerance, seed: seed, certify: certify)
    }
  }
}
