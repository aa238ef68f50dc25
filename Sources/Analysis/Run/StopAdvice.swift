import LinearAlgebra

extension Stop {
  /// What happened and what a user of the command can do about it, who has other settings than a program has.
  var advice: String {
    guard let account, let residual else { return remedy }
    let tolerance = "raise --tolerance to \(residual) or more"
    switch reason {
    case .exhausted: return "\(account): \(tolerance), or try another --solver"
    case .rounding: return "\(account) in single precision: \(tolerance)"
    }
  }
}
