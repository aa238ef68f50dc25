/// A request no solver can answer, or an operator that breaks its contract.
public enum SolverError: Error, Equatable, CustomStringConvertible, Sendable {
  /// More triplets than the smaller side has, or fewer than one.
  case impossibleCount(Int, limit: Int)
  /// A setting outside its range; `remedy` says what is.
  case invalidSetting(name: String, value: String, remedy: String)
  /// A product, `A v` or `Aᵀ u`, holds NaN or infinity; `problem` counts within a lockstep group.
  case notFinite(product: String, problem: Int)
  /// |⟨A v, u⟩ − ⟨v, Aᵀ u⟩| / (‖A v‖ ‖u‖ + ‖v‖ ‖Aᵀ u‖), more than the products' rounding explains.
  case adjointMismatch(defect: Double, problem: Int)
  /// The dense matrix would need more bytes than can be counted.
  case tooLarge(rows: Int, columns: Int)
  /// An operator asked ARPACK for a solve while ARPACK was asking it for a product.
  case nestedSolve

  /// What is wrong and what to do.
  public var description: String { "\(reason); \(remedy)" }

  /// Which operator of a lockstep group it is about, counted from 0; nil when it is about the request. Who made the group
  /// knows the operators by better names than a number.
  public var problem: Int? {
    switch self {
    case .notFinite(_, let problem), .adjointMismatch(_, let problem): problem
    case .impossibleCount, .invalidSetting, .tooLarge, .nestedSolve: nil
    }
  }

  /// What is wrong.
  public var reason: String {
    switch self {
    case .impossibleCount(let count, let limit):
      "asked for \(count) singular triplets of an operator that has \(limit)"
    case .invalidSetting(let name, let value, _):
      "\(name) is \(value)"
    case .notFinite(let product, _):
      "the operator returned NaN or infinity in \(product)"
    case .adjointMismatch(let defect, _):
      "the adjoint does not match the operator: ⟨A v, u⟩ and ⟨v, Aᵀ u⟩ differ by \(defect) of "
        + "their size"
    case .tooLarge(let rows, let columns):
      "a dense matrix of \(rows) × \(columns) does not fit in memory"
    case .nestedSolve:
      "an operator called the ARPACK solver from inside its own product, and ARPACK is not "
        + "re-entrant"
    }
  }

  /// What to do, in the words of this library.
  public var remedy: String {
    switch self {
    case .impossibleCount(_, let limit): "ask for at least 1 and at most \(limit)"
    case .invalidSetting(_, _, let remedy): remedy
    case .notFinite: "check its weights and its input"
    case .adjointMismatch: "correct applyAdjoint"
    case .tooLarge: "use another solver"
    case .nestedSolve: "use the block solver there"
    }
  }
}

/// The settings every solver shares, checked in one place.
func checkTolerance(_ tolerance: Double) throws(SolverError) {
  guard tolerance > 0, tolerance < 1 else {
    throw .invalidSetting(
      name: "tolerance", value: "\(tolerance)", remedy: "choose a number between 0 and 1")
  }
}
