/// A request no solver can answer, or an operator that breaks its contract.
public enum SolverError: Error, Equatable, CustomStringConvertible, Sendable {
  /// More triplets than the smaller side has, or fewer than one.
  case impossibleCount(Int, limit: Int)
  /// A setting outside its range; `remedy` says what is.
  case invalidSetting(name: String, value: String, remedy: String)
  /// A product, `A v` or `Aᵀ u`, holds NaN or infinity; `problem` counts within a lockstep group.
  case notFinite(product: String, problem: Int)
  /// |⟨A v, u⟩ − ⟨v, Aᵀ u⟩| / (‖A v‖ ‖u‖ + ‖v‖ ‖Aᵀ u‖), too large for rounding in single precision.
  case adjointMismatch(defect: Double, problem: Int)
  /// The dense matrix would need more bytes than can be counted.
  case tooLarge(rows: Int, columns: Int)
  /// An operator asked ARPACK for a solve while ARPACK was asking it for a product.
  case nestedSolve

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .impossibleCount(let count, let limit):
      "asked for \(count) singular triplets of an operator that has \(limit); "
        + "ask for at least 1 and at most \(limit)"
    case .invalidSetting(let name, let value, let remedy):
      "\(name) is \(value); \(remedy)"
    case .notFinite(let product, let problem):
      "the operator returned NaN or infinity in \(product)\(Self.suffix(problem)); "
        + "check its weights and its input"
    case .adjointMismatch(let defect, let problem):
      "the operator's adjoint is not its adjoint\(Self.suffix(problem)): "
        + "⟨A v, u⟩ and ⟨v, Aᵀ u⟩ differ by \(defect) of their size; correct applyAdjoint"
    case .tooLarge(let rows, let columns):
      "a dense matrix of \(rows) × \(columns) does not fit in memory; use another solver"
    case .nestedSolve:
      "an operator called the ARPACK solver from inside its own product; "
        + "ARPACK is not re-entrant: use the block solver there"
    }
  }

  private static func suffix(_ problem: Int) -> String {
    problem == 0 ? "" : " (problem \(problem) of the group)"
  }
}

/// The settings every solver shares, checked in one place.
func checkTolerance(_ tolerance: Double) throws(SolverError) {
  guard tolerance > 0, tolerance < 1 else {
    throw .invalidSetting(
      name: "tolerance", value: "\(tolerance)", remedy: "choose a number between 0 and 1")
  }
}
