import Foundation

/// How the command was started: alone, or as one of several processes, as the environment says.
struct Launch: Equatable {
  /// The number of processes that were started together.
  let processes: Int
  /// The number of this process, from 0.
  let rank: Int
  /// What started them.
  let launcher: String

  /// The variables in which each launcher tells a process how many there are and which one it is.
  ///
  /// The first that is set decides: `mpirun` may itself have been started by `srun`. Slurm's variables on the step are set for
  /// processes of `srun` alone; those on the job, such as SLURM_NTASKS, also for a script that `sbatch` or `salloc` runs once.
  private static let variables = [
    (launcher: "mpirun", size: "OMPI_COMM_WORLD_SIZE", rank: "OMPI_COMM_WORLD_RANK"),
    (launcher: "mpirun", size: "PMI_SIZE", rank: "PMI_RANK"),
    (launcher: "srun", size: "SLURM_STEP_NUM_TASKS", rank: "SLURM_PROCID"),
  ]

  /// What an environment says.
  init(_ environment: [String: String]) {
    for (launcher, size, rank) in Self.variables {
      guard let size = environment[size].flatMap({ Int($0) }), size >= 1 else { continue }
      self.launcher = launcher
      (processes, self.rank) = (size, environment[rank].flatMap { Int($0) } ?? 0)
      return
    }
    (processes, rank, launcher) = (1, 0, "")
  }

  /// Whether there are other processes.
  var isShared: Bool { processes > 1 }

  /// Ends the process with a message and the status of wrong usage; only the first of the processes prints it.
  func refuse(_ reason: String) -> Never {
    if rank == 0 {
      note("Error: \(reason)")
    } else {
      // The launcher ends all processes as soon as one of them fails: this one must not be the first.
      sleep(2)
    }
    exit(64)
  }
}
