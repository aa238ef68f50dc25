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

  /// The solver used for `count` triplets of a matrix of this width: what `auto` stands for, and otherwise `self`.
  ///
  /// The block solver reads the weights a third as often as ARPACK and was faster on all residual Jacobians measured
  /// but the smallest. The dense SVD overtakes it at a share of the width that grows from an eighth (width 256)
  /// through a quarter (512 and 1024) to more than a third (2048), where its memory begins to matter: it is used from
  /// a quarter on, up to width 1024. (`benchmarks/suite.py solvers` measures this.)
  public func chosen(for count: Int, width: Int) -> SolverKind {
    guard self == .auto else { return self }
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
    }
  }
}
