import ArgumentParser
import Processes

/// How the processes of `mpirun` or `srun` divide a run.
struct ProcessOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Under mpirun or srun, the number of processes that hold each block together, for models beyond one machine's memory.",
      valueName: "n"))
  var slices = 1

  func validate() throws {
    if slices < 1 { throw ValidationError("--slices \(slices): must be 1 or more") }
  }

  /// Refuses slices for a command that holds whole blocks in every process.
  func refuseSlices(_ command: String) throws {
    guard slices > 1 else { return }
    throw ValidationError(
      "--slices \(slices): \(command) holds whole blocks in every process; leave it out")
  }

  /// Refuses slices that this number of processes cannot hold.
  func check(processes: Int) throws(OptionError) {
    guard slices > 1, processes % slices != 0 else { return }
    let reason =
      processes == 1
      ? "needs several processes; start the command with mpirun -n \(slices) or srun -n \(slices), or leave it out"
      : "does not divide the \(processes) processes into teams; start a multiple of \(slices), or change it"
    throw OptionError(option: "--slices", value: "\(slices)", reason: reason)
  }
}

/// A command whose work several processes can share, and which runs models as `align` does.
protocol ExecutingCommand: SharedCommand {
  /// How each process runs the model.
  var execution: ExecutionOptions { get set }
}

extension ExecutingCommand {
  var threads: Int? {
    get { execution.threads }
    set { execution.threads = newValue }
  }
}

/// A command whose work several processes can share.
protocol SharedCommand: ParsableCommand {
  /// How they divide it.
  var processes: ProcessOptions { get }
  /// The number of threads of each of them, if the user has set it.
  var threads: Int? { get set }
  /// Does this process's part of the work. The leader prints and writes.
  func run(as processes: RunProcesses) throws
}

extension SharedCommand {
  func run() throws {
    try withExitStatus {
      try processes.check(processes: 1)
      try run(as: .alone)
    }
  }
}
