import Analysis
import Files

extension SettingKey {
  /// What the command calls it: an option, or an argument by the name its help has.
  var option: String {
    switch self {
    case .model, .checkpoints: rawValue.uppercased()
    case .modelOfRun: "--model"
    case .runs: "RUN"
    default: "--\(rawValue.replacing("_", with: "-"))"
    }
  }
}

extension SettingMessage {
  /// As a user of the command is told it.
  var inOptions: String { spelled(\.option) }
}

/// What is said of an error to a user of the command.
func text(of error: any Error) -> String {
  (error as? any SettingError)?.message.inOptions ?? "\(error)"
}

/// An option of the command alone whose value cannot be used.
struct OptionError: Error, CustomStringConvertible {
  let option: String
  let value: String
  let reason: String

  var description: String { "\(option) \(value): \(reason)" }
}
