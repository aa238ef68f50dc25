import Analysis
import Foundation
import Synchronization

/// The signals that ask the process to end: Ctrl-C, `kill`, and a terminal that is closed.
enum Interrupt {
  /// Notes the first such signal for the command to see, which then stops where nothing is half-written; the second ends
  /// the process.
  static func catchSignals() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number) { number in
        if noted.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
      }
      // Under nohup the command is to outlive its terminal.
      if number == SIGHUP, unsafeBitCast(previous, to: Int.self) == 1 { signal(number, SIG_IGN) }
    }
    // A limit on the size of files is an error of write(2), which has a message, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Whether one has come.
  static var hasCome: Bool { noted.load(ordering: .relaxed) != 0 }

  /// Throws `RunError.interrupted` when one has come, in a command that keeps nothing.
  static func check() throws(RunError) {
    if hasCome { throw .interrupted(resume: nil) }
  }

  /// What the process ends with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
  static var exitStatus: Int32 {
    let number = noted.load(ordering: .relaxed)
    return 128 + (number == 0 ? SIGINT : number)
  }
}

/// The signal, or 0.
private let noted = Atomic<CInt>(0)
