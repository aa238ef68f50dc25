/// A complaint of ARPACK's that no setting of `ARPACKSolver` could have prevented.
public struct ARPACKError: Error, CustomStringConvertible, Sendable {
  /// `dsaupd` or `dseupd`.
  public let routine: String
  /// Its `info`.
  public let info: Int

  /// What is wrong and what to do.
  public var description: String {
    "ARPACK's \(routine) failed (info = \(info)): \(Self.meaning(routine, info)); "
      + "use the block or the dense solver"
  }

  /// What the headers of `dsaupd.f` and `dseupd.f` say.
  private static func meaning(_ routine: String, _ info: Int) -> String {
    switch (routine, info) {
    case (_, -1), (_, -2), (_, -3): "a dimension is out of range"
    case (_, -8): "the tridiagonal eigenvalue problem failed"
    case (_, -9): "the starting vector is zero"
    case ("dsaupd", -9999): "no Arnoldi factorization could be built"
    case ("dseupd", -14): "no eigenvalue was found to sufficient accuracy"
    case ("dseupd", -17): "the two routines disagree on the number of converged values"
    default: "see the header of \(routine).f"
    }
  }
}
