/// A failure of ARPACK or PARPACK that no setting of the solver could have prevented.
public struct ARPACKError: Error, CustomStringConvertible, Sendable {
  /// The routine that failed: `dsaupd`, `pdsaupd`, `dnaupd` or `dneupd`.
  public let routine: String
  /// The `info` it returned.
  public let info: Int

  /// What went wrong and what to do.
  public var description: String {
    "ARPACK's \(routine) failed (info = \(info)): \(Self.meaning(routine, info)); use another solver"
  }

  /// The meaning of `info` according to the headers of `dsaupd.f`, `dnaupd.f` and `dneupd.f`.
  private static func meaning(_ routine: String, _ info: Int) -> String {
    switch (routine, info) {
    case (_, -1), (_, -2), (_, -3): "a dimension is out of range"
    case ("dnaupd", -8), ("dneupd", -8), ("dneupd", -9):
      "the eigenvalue problem of the projected matrix failed"
    case (_, -8): "the tridiagonal eigenvalue problem failed"
    case (_, -9): "the starting vector is zero"
    case ("dsaupd", -9999), ("pdsaupd", -9999), ("dnaupd", -9999):
      "no Arnoldi factorization could be built"
    case ("dneupd", -14): "no eigenvalue was found to sufficient accuracy"
    case ("dneupd", 1): "the Schur form could not be reordered"
    case ("dneupd", -15):
      "the two routines disagree on the number of converged values"
    default: "see the header of \(routine).f"
    }
  }
}
