import Lanczos
import LinearAlgebra
import Processes

extension SolverKind {
  /// Throws `RunError.badSetting` if the members of a team cannot use the solver.
  func check(for team: (any Communicator)?) throws(RunError) {
    guard team != nil, !canShareVectors else { return }
    throw .badSetting(
      .solver, value: rawValue,
      reason:
        "needs whole vectors, which several processes now hold between them; choose block, or leave \(.slices) out"
    )
  }
}

/// An operator with its vectors divided among the members of a team, if there is one.
func divided(_ a: any LinearOperator, over team: (any Communicator)?) -> any LinearOperator {
  team.map { RowDistributedOperator(a, over: $0) } ?? a
}

/// Operators that share applications, likewise.
func divided(_ a: any BatchedOperator, over team: (any Communicator)?) -> any BatchedOperator {
  team.map { RowDistributedBatch(a, over: $0) } ?? a
}
