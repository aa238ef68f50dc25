import Analysis
import Foundation
import Processes
import Synchronization

/// The signals that ask the process to end: Ctrl-C, `kill`, and a terminal that is closed.
enum Interrupt {
  /// Records the first such signal, on which the command stops at a point where nothing is half-written; a second signal
  /// ends the process at once.
  static func catchSignals() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let previous = signal(number) { number in
        if noted.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
      }
      // Under nohup the command must outlive its terminal.
      if number == SIGHUP, unsafeBitCast(previous, to: Int.self) == 1 { signal(number, SIG_IGN) }
    }
    // A limit on file sizes then becomes an error of write(2), with a message, instead of ending the process.
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Whether such a signal has arrived.
  static var hasCome: Bool { noted.load(ordering: .relaxed) != 0 }

  /// Throws `RunError.interrupted` if a signal has arrived; for commands that keep nothing to resume.
  static func check() throws(RunError) {
    if hasCome { throw .interrupted(resume: nil) }
  }

  /// The message and status of a job that a signal stopped; `folder` is where finished work is kept.
  static func failure(keptIn folder: String?) -> WorkStopped {
    let cause =
      exitStatus == 128 + SIGTERM
      ? "stopped by SIGTERM, which the launcher sends to all processes when one of them was killed"
      : "interrupted"
    let units = folder.flatMap {
      try? FileManager.default.contentsOfDirectory(atPath: "\($0)/partial")
    }
    let isKept = units?.contains { $0.hasSuffix(".safetensors") } == true
    let kept =
      if isKept, let folder {
        "what was finished is kept in \(folder): the same command with --output \(folder) resumes the run, with any "
          + "number of processes"
      } else if let folder, units == nil,
        FileManager.default.fileExists(atPath: "\(folder)/result.json")
      {
        "the run itself had finished: its results are in \(folder)"
      } else {
        "nothing was finished, so nothing is kept"
      }
    return WorkStopped("\(cause); \(kept)", status: exitStatus, process: nil)
  }

  /// The exit status of an interrupted process: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
  static var exitStatus: Int32 {
    let number = noted.load(ordering: .relaxed)
    return 128 + (number == 0 ? SIGINT : number)
  }
}

/// The first signal that arrived, or 0.
private let noted = Atomic<CInt>(0)
