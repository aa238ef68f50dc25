#if MPI
  import Analysis
  import ArgumentParser
  import Foundation
  import MPIProcesses
  import Processes

  /// The command as one of several processes, which end together, with one message and one exit status.
  struct ProcessJob {
    private let all: MPICommunicator
    private let peers: JobPeers
    private let watch: JobWatch

    /// Runs the command and ends the process.
    static func run(_ launch: Launch) -> Never {
      let all = MPIJob.start()
      guard all.size == launch.processes else {
        MPIJob.end()
        launch.refuse(
          "\(launch.launcher) started \(launch.processes) processes, but MPI knows of \(all.size); use the mpirun of the "
            + "Open MPI that krylens was built with, or srun --mpi=pmix")
      }
      Interrupt.catchSignals()
      let peers = JobPeers(all)
      ProcessJob(
        all: all, peers: peers, watch: JobWatch { if peers.isSpeaker { peers.report($0) } }
      ).run()
    }

    /// Every process comes to the end of this, whatever happens.
    private func run() -> Never {
      do throws(WorkStopped) {
        let command = try agreedCommand()
        let (team, size) = (all.rank / command.processes.slices, command.processes.slices)
        let sharing: MPIWorkSharing
        do {
          sharing = try MPIWorkSharing(among: all, team: team, teams: all.size / size)
        } catch {
          throw failure(error)
        }
        let processes = RunProcesses(
          all: all, team: all.team(of: size), sharing: sharing, failure: failure(_:))
        end(run(command, as: processes, sharing))
      } catch {
        end(error)
      }
    }

    /// Does this process's part, and waits for the others. Returns what stopped it.
    private func run(
      _ command: any SharedCommand, as processes: RunProcesses, _ sharing: MPIWorkSharing
    ) -> WorkStopped? {
      watch.start {
        Interrupt.hasCome ? Interrupt.failure(keptIn: processes.opening.folder) : nil
      } failure: {
        sharing.failure
      } abort: {
        MPIJob.abort(status: $0.status)
      }
      var stop: WorkStopped?
      do { try command.run(as: processes) } catch {
        let failure = failure(error)
        do {
          if !processes.opening.isTaken { try processes.opening.take(failure) }
          sharing.fail(failure)
          stop = failure
        } catch {
          stop = error
        }
      }
      watch.stopAsking()
      // If some process never comes here, the watch ends all of them.
      _ = sharing.close()
      watch.finish()
      return watch.stop ?? stop
    }

    /// Ends all processes with one status.
    private func end(_ stop: WorkStopped?) -> Never {
      var status: Int32 = 0
      do { try all.agree(stop) } catch {
        status = error.status
        watch.end(with: error)
      }
      MPIJob.end()
      exit(status)
    }

    /// The command and its options: one that processes can share, and divided alike in all of them.
    private func agreedCommand() throws(WorkStopped) -> any SharedCommand {
      let result = Result { try parsed() }
      var refusal: WorkStopped?
      if case .failure(let error) = result { refusal = failure(error) }
      try all.agree(refusal)
      let mine =
        (try? result.get()).map {
          "\(type(of: $0).configuration.commandName ?? "") with --slices \($0.processes.slices)"
        } ?? ""
      let leaders = String(decoding: all.leaders(Array(mine.utf8)), as: UTF8.self)
      if mine != leaders {
        refusal = WorkStopped(
          "was started as \(mine), but process 0 as \(leaders); start all alike", status: 64,
          process: all.rank)
      }
      try all.agree(refusal)
      do { return try result.get() } catch { throw failure(error) }
    }

    private func parsed() throws -> any SharedCommand {
      var command = try Krylens.parseAsRoot()
      guard var shared = command as? any SharedCommand else {
        let name = type(of: command).configuration.commandName ?? ""
        // These two only throw their text.
        if command is Krylens || name == "help" { try command.run() }
        throw WorkStopped(
          "krylens \(name) runs in one process; start it without mpirun or srun", status: 64,
          process: all.rank)
      }
      try withExitStatus { try shared.processes.check(processes: all.size) }
      if shared.threads == nil { shared.threads = peers.threads }
      return shared
    }

    /// What stopped this process, in the words of the command.
    @Sendable private func failure(_ error: any Error) -> WorkStopped {
      if let failure = error as? WorkStopped { return failure }
      let failure = CommandFailure(error)
      return WorkStopped(
        failure.message, status: failure.status, process: failure.isOfRun ? nil : all.rank)
    }
  }

  /// The processes of a job as the operating system knows them.
  private struct JobPeers: Sendable {
    private let rank: Int
    private let hosts: [String]
    private let identifiers: [pid_t]

    /// Every process must call it.
    init(_ all: MPICommunicator) {
      var name = [CChar](repeating: 0, count: 256)
      gethostname(&name, name.count - 1)
      rank = all.rank
      hosts = all.gathered(name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
      identifiers = all.gathered("\(getpid())").map { pid_t($0) ?? 0 }
    }

    /// The threads of one process if it is given no number: those on one host share its cores, unless the launcher has already
    /// given each its own.
    var threads: Int {
      let system = ProcessInfo.processInfo
      let usable = system.activeProcessorCount
      return usable < system.processorCount
        ? usable : max(1, usable / hosts.count { $0 == hosts[rank] })
    }

    /// Whether this process prints for all: the first, or the next one on its host if that was killed.
    var isSpeaker: Bool {
      rank == 0
        || hosts[0] == hosts[rank]
          && (0..<rank).allSatisfy { hosts[$0] != hosts[rank] || kill(identifiers[$0], 0) != 0 }
    }

    /// Prints what stopped the job, and where.
    func report(_ failure: WorkStopped) {
      guard !failure.message.isEmpty else { return }
      guard failure.status != 0 else {
        try? StandardOutput.print(failure.message)
        return
      }
      let place = failure.process.map { "process \($0) on \(hosts[$0]): " } ?? ""
      note((failure.status < 128 ? "Error: " : "") + place + failure.message)
    }
  }
#endif
