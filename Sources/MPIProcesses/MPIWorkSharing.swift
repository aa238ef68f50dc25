#if MPI
  import CMPI
  import Foundation
  public import Processes
  import Synchronization

  /// Work shared by the teams of an MPI job.
  ///
  /// Process 0 has the `WorkList`. A thread of its own answers the other processes, so that they never wait for what process 0
  /// computes. All waiting is done in short sleeps: MPI's own would occupy a core.
  public final class MPIWorkSharing: WorkSharing, @unchecked Sendable {
    /// The number of this process's team.
    public let team: Int
    /// The number of teams.
    public let teams: Int
    private let messages: MPIMessages
    private let list: SharedWorkList
    /// One request at a time, until its answer has arrived.
    private let asking = Mutex(())
    private let stop = Mutex((isKnown: false, looked: 0.0))
    private let ending = Mutex((mayEnd: false, hasEnded: false))

    /// The kinds of messages.
    private enum Tag {
      static let request: Int32 = 1
      static let answer: Int32 = 2
      static let stop: Int32 = 3
      static let end: Int32 = 4
    }

    private struct Letter: Codable {
      let team: Int
      let request: WorkRequest
    }

    /// Work shared by the teams of all processes of a job, each of which makes this call. Throws `MPIThreadsMissing`.
    public init(among processes: MPICommunicator, team: Int, teams: Int) throws(MPIThreadsMissing) {
      var provided: Int32 = 0
      MPI_Query_thread(&provided)
      guard provided >= Int32(MPI_THREAD_MULTIPLE) else { throw MPIThreadsMissing() }
      (self.team, self.teams) = (team, teams)
      messages = MPIMessages(among: processes)
      list = SharedWorkList(teams: teams)
      guard messages.rank == 0, messages.size > 1 else { return }
      Thread { self.serve() }.start()
    }

    /// The answer to a request.
    public func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
      guard messages.rank != 0 else { return try list.answer(request, from: team) }
      let answer = asking.withLock { _ -> WorkAnswer in
        messages.send(Letter(team: team, request: request), to: 0, Tag.request)
        return messages.receive(WorkAnswer.self, from: 0, Tag.answer)
      }
      if case .stopped(let failure) = answer { throw failure }
      return answer
    }

    /// Whether a team has stopped the work.
    public var isStopped: Bool {
      guard messages.rank != 0 else { return list.isStopped }
      return stop.withLock { state in
        let now = ProcessInfo.processInfo.systemUptime
        if !state.isKnown, now - state.looked > 0.02 {
          state.isKnown = messages.take(from: 0, Tag.stop)
          state.looked = now
        }
        return state.isKnown
      }
    }

    /// Returns true once every process has called it: nothing is asked after that, and MPI may be ended. Returns false if some
    /// process has not called it within this time.
    public func close(within seconds: Double = .infinity) -> Bool {
      guard messages.size > 1 else { return true }
      let end = ProcessInfo.processInfo.systemUptime + seconds
      if messages.rank == 0 {
        ending.withLock { $0.mayEnd = true }
      } else {
        messages.send(0, to: 0, Tag.end)
      }
      while true {
        let isOver =
          messages.rank == 0
          ? ending.withLock { $0.hasEnded } : messages.take(from: 0, Tag.end)
        if isOver { break }
        guard ProcessInfo.processInfo.systemUptime < end else { return false }
        Thread.sleep(forTimeInterval: 0.005)
      }
      _ = isStopped
      return true
    }

    // MARK: Process 0

    /// Answers requests until all processes have called `close`.
    private func serve() {
      var (quiet, open, hasStopped) = (0, messages.size - 1, false)
      while true {
        if let (from, letter) = messages.next(Letter.self, Tag.request) {
          messages.send(answer(to: letter), to: from, Tag.answer)
          quiet = 0
          continue
        }
        if messages.take(from: nil, Tag.end) { open -= 1 }
        if !hasStopped, list.isStopped {
          hasStopped = true
          for rank in 1..<messages.size { messages.send(0, to: rank, Tag.stop) }
        }
        if open == 0, ending.withLock({ $0.mayEnd }) { break }
        // Requests often come in groups.
        quiet += 1
        Thread.sleep(forTimeInterval: quiet < 10 ? 0.0001 : 0.001)
      }
      for rank in 1..<messages.size { messages.send(0, to: rank, Tag.end) }
      ending.withLock { $0.hasEnded = true }
    }

    private func answer(to letter: Letter) -> WorkAnswer {
      do throws(WorkStopped) {
        return try list.answer(letter.request, from: letter.team)
      } catch {
        return .stopped(error)
      }
    }
  }

  /// An MPI that does not let several threads of a process send messages.
  public struct MPIThreadsMissing: Error, CustomStringConvertible {
    /// What is missing and what helps.
    public var description: String {
      "this MPI does not let several threads of a process send messages (MPI_THREAD_MULTIPLE); use an Open MPI that does, as "
        + "Debian's, or divide the prompts among separate runs"
    }
  }
#endif
