import TestSupport
import Testing

@testable import krylens

/// What the environment says about how the command was started.
struct LaunchTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let environment: [String: String]
    let processes: Int
    let rank: Int
  }

  static let cases = [
    Case(testDescription: "a shell", environment: ["HOME": "/root"], processes: 1, rank: 0),
    Case(
      testDescription: "mpirun of Open MPI",
      environment: ["OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3"],
      processes: 4, rank: 3),
    Case(
      testDescription: "mpirun with one process",
      environment: ["OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"], processes: 1, rank: 0
    ),
    Case(
      testDescription: "mpirun of MPICH", environment: ["PMI_SIZE": "2", "PMI_RANK": "1"],
      processes: 2, rank: 1),
    // The job's variables are set in the script too, which srun has not started.
    Case(
      testDescription: "a script of sbatch",
      environment: [
        "SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0", "SLURM_JOB_NUM_NODES": "2", "SLURM_TASKS_PER_NODE": "4(x2)",
      ], processes: 1, rank: 0),
    Case(
      testDescription: "the shell of salloc as a step",
      environment: [
        "SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "4294967290",
        "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0",
      ], processes: 1, rank: 0),
    Case(
      testDescription: "srun",
      environment: [
        "SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8",
        "SLURM_PROCID": "5", "PMIX_RANK": "5",
      ], processes: 8, rank: 5),
    // One mpirun in each of the tasks of a step.
    Case(
      testDescription: "mpirun within srun",
      environment: [
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "OMPI_COMM_WORLD_SIZE": "6",
        "OMPI_COMM_WORLD_RANK": "4",
      ], processes: 6, rank: 4),
    Case(
      testDescription: "numbers that are none",
      environment: ["OMPI_COMM_WORLD_SIZE": "", "PMI_SIZE": "-3", "SLURM_STEP_NUM_TASKS": "x"],
      processes: 1, rank: 0),
  ]

  @Test(arguments: cases)
  func environmentDecides(_ example: Case) {
    let launch = Launch(example.environment)
    #expect(launch.processes == example.processes && launch.rank == example.rank)
    #expect(launch.isShared == (example.processes > 1))
  }

  /// One process of several that has no part of the job ends with the status of wrong usage, and one of them says why.
  @Test(arguments: [0, 1])
  func processesThatCannotMeetRefuse(_ rank: Int) throws {
    let finished = try Command.run(
      ["--version"], in: try ScratchFolder(),
      environment: ["PMI_SIZE": "2", "PMI_RANK": "\(rank)"])
    #expect(finished.status == 64 && finished.output.isEmpty)
    #expect(finished.complaints.count == (rank == 0 ? 1 : 0), "\(finished.error)")
    if rank == 0 { #expect(finished.error.contains("MPI")) }
  }

  @Test func slicesNeedProcesses() throws {
    let finished = try Command.run(
      [
        "align", ModelFixture("llama").folder, "--token-ids", "1,2,3", "--slices", "2", "-o", "run",
      ],
      in: try ScratchFolder())
    #expect(finished.status == 64 && finished.error.contains("--slices 2"))
    #expect(finished.complaints.count == 1, "\(finished.error)")
  }

  @Test func slicesMustDivideTheProcesses() throws {
    let options = try ProcessOptions.parse(["--slices", "2"])
    try options.check(processes: 4)
    #expect(throws: OptionError.self) { try options.check(processes: 3) }
    try ProcessOptions.parse([]).check(processes: 3)
  }
}
