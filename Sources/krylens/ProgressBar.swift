import Analysis
import Foundation
import Synchronization

/// A bar on standard error, drawn only on a terminal; and the user's interrupt, noted for the run to see.
final class ProgressBar: RunProgress {
  private var isDrawn: Bool
  private let start = Date()

  init(isShown: Bool) {
    isDrawn = isShown && isatty(STDERR_FILENO) == 1
    // The first interrupt asks the run to stop where nothing is half-written; the second ends the process.
    signal(SIGINT) { _ in
      if interrupted.exchange(true, ordering: .relaxed) { _exit(130) }
    }
    // A limit on the size of files is an error of write(2), which has a message, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
  }

  var isCancelled: Bool { interrupted.load(ordering: .relaxed) }

  func update(_ state: RunProgressState) {
    guard isDrawn, state.total > 0 else { return }
    let width = 32
    let filled = width * state.completed / state.total
    let seconds = Date().timeIntervalSince(start)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let left = state.secondsLeft.map { ", about \(Self.spoken($0)) left" } ?? ""
    let text =
      "\r\(bar) \(state.phase) \(state.completed)/\(state.total), \(Self.spoken(seconds))\(left)"
    write(text + "\u{1B}[K")
  }

  /// 45 s, 12 min, 3 h 20 min.
  private static func spoken(_ seconds: Double) -> String {
    let minutes = Int((seconds / 60).rounded())
    if seconds < 90 { return "\(Int(seconds.rounded(.up))) s" }
    return minutes < 90 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
  }

  /// Clears the line; nothing is drawn after that.
  func finish() {
    if isDrawn { write("\r\u{1B}[K") }
    isDrawn = false
  }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

/// Set by the signal handler.
private let interrupted = Atomic<Bool>(false)
