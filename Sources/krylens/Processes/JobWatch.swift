import Foundation
import Processes
import Synchronization

/// Watches, beside the work, whether a job was stopped: by a failure in one of its processes, or by a signal. It prints the one message
/// as soon as that happens, and ends the process if the work has not ended soon after, as when it waits for a process that is gone.
final class JobWatch: Sendable {
  private struct State {
    var reported: WorkStopped?
    var isOver = false
  }

  private let state = Mutex(State())
  private let report: @Sendable (WorkStopped) -> Void

  /// `report` prints a message if this process is the one that does.
  init(report: @escaping @Sendable (WorkStopped) -> Void) { self.report = report }

  /// What has stopped the job, once that is known.
  var reported: WorkStopped? { state.withLock { $0.reported } }

  /// Watches from now on. `stop` says what has stopped the job, if anything has; `abort` ends all processes, `grace` seconds later.
  func start(
    grace: Double = 5, stop: @escaping @Sendable () -> WorkStopped?,
    abort: @escaping @Sendable (WorkStopped) -> Void
  ) {
    Thread.detachNewThread { [self] in
      var deadline: Date?
      while !state.withLock({ $0.isOver }) {
        if let deadline, deadline < Date(), let reported { return abort(reported) }
        if deadline == nil, let stopped = stop() {
          end(with: stopped)
          deadline = Date(timeIntervalSinceNow: grace)
        }
        Thread.sleep(forTimeInterval: 0.02)
      }
    }
  }

  /// Reports what has stopped the job, unless something has before.
  func end(with failure: WorkStopped) {
    let isFirst = state.withLock {
      guard $0.reported == nil else { return false }
      $0.reported = failure
      return true
    }
    if isFirst { report(failure) }
  }

  /// Ends the watch.
  func finish() { state.withLock { $0.isOver = true } }
}
