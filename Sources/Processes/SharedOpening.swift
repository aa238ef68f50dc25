import Foundation
import Synchronization

/// The step that all processes of a run take together before any of them works: each says whether it could open the run.
///
/// A process that fails before it comes to this step takes it with its failure, so that none of the others waits for it.
public final class SharedOpening: Sendable {
  private let all: any Communicator
  private let taken = Mutex(false)
  private let place = Mutex<String?>(nil)

  init(_ all: any Communicator) { self.all = all }

  /// Whether this process has taken the step.
  public var isTaken: Bool { taken.withLock { $0 } }

  /// The folder in which finished work is kept, once it is known.
  public var folder: String? {
    get { place.withLock { $0 } }
    set { place.withLock { $0 = newValue } }
  }

  /// Takes the step. Throws in every process alike if any of them failed.
  public func take(_ failure: WorkStopped?) throws(WorkStopped) {
    taken.withLock { $0 = true }
    try all.agree(failure)
  }
}

extension Communicator {
  /// Throws in every process alike if any of them failed: the failure of the first, or of all if all failed for one reason.
  public func agree(_ failure: WorkStopped?) throws(WorkStopped) {
    guard size > 1 else {
      if let failure { throw failure }
      return
    }
    let bytes = failure.flatMap { try? JSONEncoder().encode($0) } ?? Data()
    let all = gathered([UInt8](bytes)).map {
      try? JSONDecoder().decode(WorkStopped.self, from: Data($0))
    }
    guard let first = all.compactMap({ $0 }).first else { return }
    // The same failure, reported by all, is that of one process; one failure in each is that of all.
    let isOfEach = all.enumerated().allSatisfy { $1?.message == first.message && $1?.process == $0 }
    throw isOfEach ? WorkStopped(first.message, status: first.status, process: nil) : first
  }
}
