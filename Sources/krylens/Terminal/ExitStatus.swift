import Files
import Analysis
import ArgumentParser
import Foundation

/// Does a command's work and turns an error into an exit status and one line on standard error: 64 for an option that
/// cannot be met, 128 plus the signal's number for an interrupt, 1 for anything else.
func withExitStatus(_ work: () throws -> Void) throws {
  do {
    try work()
  } catch let error as OptionError {
    throw refused(error)
  } catch let error as any SettingError {
    switch error as? RunError {
    case .badSetting, .unfit: throw refused(error)
    case .interrupted:
      note(text(of: error))
      throw ExitCode(Interrupt.exitStatus)
    default: throw SpelledError(description: text(of: error))
    }
  }
}

/// Prints what is wrong with an option, and returns the exit code to throw.
private func refused(_ error: any Error) -> ExitCode {
  note("Error: \(text(of: error))")
  return .validationFailure
}

/// An error whose message spells settings as options.
private struct SpelledError: Error, CustomStringConvertible {
  let description: String
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
