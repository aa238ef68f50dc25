/// The solvers by the names options and records use.
public enum SolverKind: String, CaseIterable, Sendable, Codable {
  /// The one that measurements favour, see `chosen(for:width:)`.
  case auto
  /// `ARPACKSolver`.
  case arpack
  /// `BlockLanczosSolver`.
  case block
  /// `RandomizedSolver`.
  case randomized
  /// `DenseSolver`.
  case dense

  /// The solver that answers for `count` triplets of a matrix of this width: `auto` decides, every other is itself.
  ///
  /// The block solver reads the weights a third as often as ARPACK, and was the faster one on all residual Jacobians
  /// measured but the smallest. The dense SVD overtakes it at a share of the width that grows from an eighth (width 256) by a
  /// quarter (512 and 1024) to more than a third (2048), where its memory begins to matter: it is taken from a quarter on up
  /// to width 1024. (`benchmarks/suite.py solvers` measures it.)
  public func chosen(for count: Int, width: Int) -> SolverKind {
    guard self == .auto else { return self }
    return width <= 1024 && 4 * count > width ? .dense : .block
  }

  /// The solver, its other settings at their defaults; `blockSize` is the block solver's, nil for its own choice.
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
    }
  }
}
