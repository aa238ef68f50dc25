import Foundation
import Processes
import Synchronization

/// Watches, beside the work, whether a job was stopped: by a failure in one of its processes, or by a signal. It prints the one message
/// as soon as that happens, and ends the process if the work has not ended soon after, as when it waits for a process that is gone.
final class JobWatch: Sendable {
  private struct State {
    /// The first thing that stopped the job.
    var stop: WorkStopped?
    /// Whether `failure` may still be called.
    var isAsking = true
    var isOver = false
  }

  private let state = Mutex(State())
  private let ended = DispatchSemaphore(value: 0)
  private let report: @Sendable (WorkStopped) -> Void

  /// `report` prints a message if this process is the one that does.
  init(report: @escaping @Sendable (WorkStopped) -> Void) { self.report = report }

  /// What has stopped the job, if anything has.
  var stop: WorkStopped? { state.withLock { $0.stop } }

  /// Watches until `finish`. `signal` and `failure` say what has stopped the job; `abort` ends all processes some seconds after that.
  func start(
    grace: Double = 5, signal: @escaping @Sendable () -> WorkStopped?,
    failure: @escaping @Sendable () -> WorkStopped?,
    abort: @escaping @Sendable (WorkStopped) -> Void
  ) {
    Thread.detachNewThread { [self] in
      var deadline: Date?
      while !state.withLock({ $0.isOver }) {
        if let deadline, deadline < Date(), let stop { abort(stop) }
        // After a signal nothing is asked of the other processes: one of them may be gone.
        if let stop = signal() ?? state.withLock({ $0.isAsking ? failure() : nil }) {
          end(with: stop)
        }
        if deadline == nil, stop != nil { deadline = Date(timeIntervalSinceNow: grace) }
        Thread.sleep(forTimeInterval: 0.02)
      }
      ended.signal()
    }
  }

  /// Reports what has stopped the job, unless something has before.
  func end(with failure: WorkStopped) {
    let isFirst = state.withLock {
      guard $0.stop == nil else { return false }
      $0.stop = failure
      return true
    }
    if isFirst { report(failure) }
  }

  /// From now on only signals are watched for: the other processes no longer answer.
  func stopAsking() { state.withLock { $0.isAsking = false } }

  /// Ends the watch. Precondition: `start` has been called.
  func finish() {
    state.withLock { $0.isOver = true }
    ended.wait()
  }
}
