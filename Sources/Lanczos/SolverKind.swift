/// The solvers by the names options and records use.
public enum SolverKind: String, CaseIterable, Sendable, Codable {
  /// The one that measurements favour: the block solver, which reads the weights a third as often as ARPACK and answers
  /// in half its time or less on every residual Jacobian measured.
  case auto
  /// `ARPACKSolver`.
  case arpack
  /// `BlockLanczosSolver`.
  case block
  /// `RandomizedSolver`.
  case randomized
  /// `DenseSolver`.
  case dense

  /// The solver, its other settings at their defaults.
  public func solver(tolerance: Double = 1e-5, seed: UInt64 = 0) -> any PartialSVDSolver {
    switch self {
    case .arpack: ARPACKSolver(tolerance: tolerance, seed: seed)
    case .auto, .block: BlockLanczosSolver(tolerance: tolerance, seed: seed)
    case .randomized: RandomizedSolver(tolerance: tolerance, seed: seed)
    case .dense: DenseSolver(tolerance: tolerance, seed: seed)
    }
  }
}
