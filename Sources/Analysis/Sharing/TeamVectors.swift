import Lanczos
import LinearAlgebra
import Processes
import Weights

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

  /// Throws `RunError.badSetting` for a block size outside its range, or with another solver than the block solver.
  package func check(blockSize: Int?) throws(RunError) {
    guard let blockSize else { return }
    guard (1...Engine.independentVectors).contains(blockSize) else {
      throw .badSetting(
        .blockSize, value: "\(blockSize)",
        reason: "must be from 1 to \(Engine.independentVectors)")
    }
    guard self == .auto || self == .block else {
      throw .badSetting(
        .blockSize, value: "\(blockSize)",
        reason: "is for \(.solver) block, but the solver is \(rawValue); leave one of them out")
    }
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
