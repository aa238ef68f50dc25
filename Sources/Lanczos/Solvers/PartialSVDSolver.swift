public import LinearAlgebra

/// Finds the largest singular triplets of an operator. A value whose stored properties are its settings.
public protocol PartialSVDSolver: Sendable {
  /// The `count` largest triplets of A, 1 ≤ count ≤ min(m, n), σ descending, residual norms measured.
  ///
  /// Stopping early is a result (`report.outcome`), not an error; errors are for impossible requests and NaN.
  func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets
}
