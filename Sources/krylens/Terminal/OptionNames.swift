import Analysis
import ArgumentParser
import Files

extension SettingKey {
  /// The option's name, or the argument's name in the help.
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
  /// The message with settings spelled as options.
  var inOptions: String { spelled(\.option) }
}

/// The text of an error for a user of the command.
func text(of error: any Error) -> String {
  (error as? any SettingError)?.message.inOptions ?? "\(error)"
}

/// A value of one of the command's own options that cannot be used.
struct OptionError: Error, CustomStringConvertible {
  let option: String
  let value: String
  let reason: String

  var description: String { "\(option) \(value): \(reason)" }
}

/// Refuses options as they are parsed, in the words of the library's check of them.
func validated(_ check: () throws -> Void) throws {
  do { try check() } catch { throw ValidationError(text(of: error)) }
}
