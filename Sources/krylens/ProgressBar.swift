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

  func update(_ phase: String, completed: Int, total: Int) {
    guard isDrawn, total > 0 else { return }
    let width = 32
    let filled = width * completed / total
    let seconds = Date().timeIntervalSince(start)
    // Honest only once something is done.
    let left = completed > 0 ? seconds * Double(total - completed) / Double(completed) : 0
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let text =
      "\r\(bar) \(phase) \(completed)/\(total), \(Int(seconds)) s, about \(Int(left.rounded(.up))) s left"
    write(text + "\u{1B}[K")
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
