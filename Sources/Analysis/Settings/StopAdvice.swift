import LinearAlgebra

extension Stop {
  /// What happened and what a user can do about it, in terms of the user's settings.
  var advice: SettingMessage {
    guard let account, let residual else { return "\(remedy)" }
    let tolerance: SettingMessage = "raise \(.tolerance) to \(residual) or more"
    return switch reason {
    case .exhausted: "\(account): \(tolerance), or try another \(.solver)"
    case .rounding: "\(account) in single precision: \(tolerance)"
    }
  }
}
