/// A LAPACK routine failed: the matrix contains NaN, or the iteration did not converge.
public struct LAPACKError: Error, CustomStringConvertible, Sendable {
  /// The routine that failed.
  public let routine: String
  /// The `info` it returned.
  public let info: Int
  /// Whether all numbers of the matrix are finite.
  public let isFinite: Bool

  package init(routine: String, info: Int, isFinite: Bool) {
    (self.routine, self.info, self.isFinite) = (routine, info, isFinite)
  }

  /// What is wrong and what to do.
  public var description: String {
    "LAPACK's \(routine) failed (info = \(info)); "
      + (isFinite
        ? "it did not converge on a finite matrix: try another seed or solver, or update OpenBLAS"
        : "the operator returned NaN or infinity")
  }
}
