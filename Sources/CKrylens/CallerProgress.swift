import Analysis
import CKrylensHeader
import Foundation

/// Reports progress to the caller's callback, which may stop the work.
final class CallerProgress: RunProgress {
  /// Whether the callback has requested a stop.
  private(set) var isCancelled = false
  private let callback: krylens_progress?
  private let context: UnsafeMutableRawPointer?
  private let start = ProcessInfo.processInfo.systemUptime
  /// For a solve: the number of passes so far, and the expected total.
  private var passes = 0
  private let expected: Int

  /// `passes` is the expected number of passes of a solve.
  init(_ callback: krylens_progress?, _ context: UnsafeMutableRawPointer?, passes: Int = 1) {
    (self.callback, self.context, expected) = (callback, context, passes)
  }

  /// Reports the progress of a run.
  func update(_ state: RunProgressState) {
    tell(state.phase, state.completed, of: state.total, left: state.secondsLeft)
  }

  /// Reports progress before a pass of a solve; true if the pass must not be made.
  func stopsPass() -> Bool {
    let (done, total) = (passes, max(passes + 1, expected))
    let seconds = ProcessInfo.processInfo.systemUptime - start
    tell(
      "solving", done, of: total,
      left: done == 0 ? nil : seconds / Double(done) * Double(total - done))
    passes += 1
    return isCancelled
  }

  private func tell(_ phase: String, _ done: Int, of total: Int, left: Double?) {
    guard let callback, !isCancelled else { return }
    let answer = phase.withCString {
      callback(context, $0, Int64(done), Int64(total), left ?? .nan)
    }
    if answer != 0 { isCancelled = true }
  }
}
