import Analysis
import ArgumentParser
import Files
import Foundation
import Processes

/// Does a command's work and turns an error into an exit status and one message: 64 for an option that cannot be met,
/// 128 plus the signal's number for an interrupt, 1 for anything else.
func withExitStatus(_ work: () throws -> Void) throws {
  do { try work() } catch { throw CommandFailure(error) }
}

/// The end of a command that could not do its work.
struct CommandFailure: Error {
  /// The exit status.
  let status: Int32
  /// What happened, for the user; empty if nothing is printed.
  let message: String
  /// What stands before the message.
  let heading: String
  /// Whether it concerns the whole run, and not only the process in which it occurred.
  let isOfRun: Bool

  /// The end that an error means.
  init(_ error: any Error) {
    switch error {
    case let failure as CommandFailure: self = failure
    case let error as OptionError: self.init(64, "\(error)")
    case let error as FailedPrompts: self.init(1, "\(error)", isOfRun: true)
    case let error as any SettingError:
      let message = text(of: error)
      switch error as? RunError {
      case .badSetting, .unfit: self.init(64, message)
      case .interrupted: self.init(Interrupt.exitStatus, message, heading: "", isOfRun: true)
      case .allFailed, .otherProcess: self.init(1, message, isOfRun: true)
      default: self.init(1, message)
      }
    default:
      let text = Krylens.fullMessage(for: error)
      let heading = text.hasPrefix(Self.heading) ? Self.heading : ""
      self.init(
        Krylens.exitCode(for: error).rawValue, String(text.dropFirst(heading.count)),
        heading: heading)
    }
  }

  private static let heading = "Error: "

  private init(
    _ status: Int32, _ message: String, heading: String = heading, isOfRun: Bool = false
  ) {
    (self.status, self.message, self.heading) = (status, message, heading)
    self.isOfRun = isOfRun
  }

  /// Prints the message and ends the process.
  func exit() -> Never {
    if !message.isEmpty { note(heading + message) }
    Foundation.exit(status)
  }
}

/// The error of a run in which some prompts have no results.
struct FailedPrompts: Error, CustomStringConvertible {
  let failures: [PromptFailure]
  /// The number of all prompts.
  let count: Int

  /// The most failures that a message names one by one.
  private static let mostNamed = 3

  var description: String {
    let more = failures.count - Self.mostNamed
    return "\(failures.count) of \(count) prompts failed: "
      + failures.prefix(Self.mostNamed).map { escaped("\($0)") }.joined(separator: "; ")
      + (more > 0 ? "; and \(more) more" : "")
      + "; the results of the others are written: run the failed ones separately, or leave them out"
  }
}
