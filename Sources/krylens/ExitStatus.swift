import Analysis
import ArgumentParser
import Foundation

/// Does a command's work, and ends it with the status its error has, one line on standard error: 64 for an option that
/// asks for what cannot be, 130 for an interrupt, 1 for anything else.
func withExitStatus(_ work: () throws -> Void) throws {
  do {
    try work()
  } catch let error as RunError {
    switch error {
    case .badOption:
      FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
      throw ExitCode.validationFailure
    case .interrupted:
      FileHandle.standardError.write(Data("\(error)\n".utf8))
      throw ExitCode(130)
    default: throw error
    }
  }
}
