import LinearAlgebra

/// A request that no solver can answer. An operator that breaks its contract throws `OperatorError` instead.
public enum SolverError: Error, Equatable, CustomStringConvertible, Sendable {
  /// More triplets were requested than the smaller side has, or fewer than one.
  case impossibleCount(Int, limit: Int)
  /// More eigenvalues were requested than the operator has, or fewer than one.
  case impossibleEigenvalueCount(Int, limit: Int)
  /// Eigenvalues were requested of an operator that is not square.
  case notSquare(rows: Int, columns: Int)
  /// A setting is outside its range; `remedy` says what the range is.
  case invalidSetting(name: String, value: String, remedy: String)
  /// The dense matrix would need more bytes than can be counted.
  case tooLarge(rows: Int, columns: Int)
  /// An operator started an ARPACK solve from inside a product that ARPACK had asked for.
  case nestedSolve
  /// The solver cannot be used here, for this reason.
  case unavailable(solver: String, because: String)

  /// What is wrong and what to do.
  public var description: String { "\(reason); \(remedy)" }

  /// What is wrong.
  public var reason: String {
    switch self {
    case .impossibleCount(let count, let limit):
      "asked for \(count) singular triplets of an operator that has \(limit)"
    case .impossibleEigenvalueCount(let count, let limit):
      "asked for \(count) eigenvalues of an operator that has \(limit)"
    case .notSquare(let rows, let columns):
      "asked for eigenvalues of an operator of \(rows) × \(columns)"
    case .invalidSetting(let name, let value, _):
      "\(name) is \(value)"
    case .tooLarge(let rows, let columns):
      "a dense matrix of \(rows) × \(columns) does not fit in memory"
    case .nestedSolve:
      "an operator called the ARPACK solver from inside its own product, and ARPACK is not "
        + "re-entrant"
    case .unavailable(let solver, let reason):
      "the \(solver) solver cannot be used here: \(reason)"
    }
  }

  /// What to do, in terms of this library.
  public var remedy: String {
    switch self {
    case .impossibleCount(_, let limit), .impossibleEigenvalueCount(_, let limit):
      "ask for at least 1 and at most \(limit)"
    case .notSquare: "compute singular values, or choose a map from a space to itself"
    case .invalidSetting(_, _, let remedy): remedy
    case .tooLarge: "use another solver"
    case .nestedSolve: "use the block solver there"
    case .unavailable: "use the block solver"
    }
  }
}

extension CheckedOperator {
  /// Throws `SolverError.unavailable` if the vectors are held by several processes, for solvers that need whole ones.
  func requireWholeVectors(of solver: String) throws(SolverError) {
    guard inputSpace.isWhole else {
      throw .unavailable(
        solver: solver, because: "it needs whole vectors, and a team holds these between them")
    }
  }
}

/// Throws `SolverError.invalidSetting` if a setting that counts something is below `least`.
func checkCount(_ name: String, _ value: Int, atLeast least: Int = 1) throws(SolverError) {
  guard value >= least else {
    throw .invalidSetting(name: name, value: "\(value)", remedy: "choose at least \(least)")
  }
}

/// Throws `SolverError.tooLarge` if the bytes of a dense matrix of this size, and of LAPACK's workspace, overflow an
/// integer.
func checkBuildable(rows: Int, columns: Int) throws(SolverError) {
  let (size, overflow) = rows.multipliedReportingOverflow(by: columns)
  guard !overflow, size <= Int.max / 64 else { throw .tooLarge(rows: rows, columns: columns) }
}

/// Throws `SolverError.invalidSetting` unless the tolerance is strictly between 0 and 1.
public func checkTolerance(_ tolerance: Double) throws(SolverError) {
  guard tolerance > 0, tolerance < 1 else {
    throw .invalidSetting(
      name: "tolerance", value: "\(tolerance)", remedy: "choose a number between 0 and 1")
  }
}
