import Files
import Analysis
import ArgumentParser
import Foundation

/// Does a command's work, and ends it with the status its error has, one line on standard error: 64 for an option that
/// asks for what cannot be, 128 and the signal's number for an interrupt, 1 for anything else.
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

/// Says what is wrong with an option; what is to be thrown then.
private func refused(_ error: any Error) -> ExitCode {
  note("Error: \(text(of: error))")
  return .validationFailure
}

/// An error in the command's words.
private struct SpelledError: Error, CustomStringConvertible {
  let description: String
}

/// Prompts of a run that have no results.
struct FailedPrompts: Error, CustomStringConvertible {
  let failures: [PromptFailure]
  /// Prompts in all.
  let count: Int

  /// Named one by one in a message at most.
  private static let mostNamed = 3

  var description: String {
    let more = failures.count - Self.mostNamed
    return "\(failures.count) of \(count) prompts failed: "
      + failures.prefix(Self.mostNamed).map { escaped("\($0)") }.joined(separator: "; ")
      + (more > 0 ? "; and \(more) more" : "")
      + "; the results of the others are written: run these apart, or leave them out"
  }
}
