import Analysis
import CKrylensHeader
import Foundation

/// Tells a caller's callback how far the work is, and asks it whether to go on.
final class CallerProgress: RunProgress {
  /// Whether the callback has said to stop.
  private(set) var isCancelled = false
  private let callback: krylens_progress?
  private let context: UnsafeMutableRawPointer?
  private let start = ProcessInfo.processInfo.systemUptime
  /// Of a solve: passes so far, and how many there will be about.
  private var passes = 0
  private let expected: Int

  /// `passes` is what a solve is expected to take.
  init(_ callback: krylens_progress?, _ context: UnsafeMutableRawPointer?, passes: Int = 1) {
    (self.callback, self.context, expected) = (callback, context, passes)
  }

  /// A run has come further.
  func update(_ state: RunProgressState) {
    tell(state.phase, state.completed, of: state.total, left: state.secondsLeft)
  }

  /// Before every pass of a solve: whether it is not to be made.
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
