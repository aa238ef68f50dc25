/// The processes of a run: this one, those that hold each Jacobian together with it, and those that share its work.
///
/// Some consecutive processes form a team, which holds one Jacobian, each member a slice of it; teams share the list of work. With
/// one process per team, every process holds whole models.
public struct RunProcesses: Sendable {
  /// All processes of the job.
  public let all: any Communicator
  /// The processes of this team.
  public let team: any Communicator
  /// The list of work, shared by all teams.
  public let sharing: any WorkSharing
  /// The step that all processes take together before any of them works.
  public let opening: SharedOpening
  /// An error in the words of the command, with the exit status it means.
  public let failure: @Sendable (any Error) -> WorkStopped

  /// Creates the description of teams of consecutive processes.
  public init(
    all: any Communicator, team: any Communicator, sharing: any WorkSharing,
    failure: @escaping @Sendable (any Error) -> WorkStopped
  ) {
    (self.all, self.team, self.sharing, self.failure) = (all, team, sharing, failure)
    opening = SharedOpening(all)
  }

  /// One process, which does everything.
  public static var alone: RunProcesses {
    RunProcesses(all: SingleProcess(), team: SingleProcess(), sharing: AloneSharing()) {
      WorkStopped("\($0)", status: 1, process: nil)
    }
  }

  /// The list of work as the members of the team use it together.
  public var teamSharing: any WorkSharing {
    slices > 1 ? TeamSharing(sharing, among: team) : sharing
  }

  /// The number of processes that hold one Jacobian together.
  public var slices: Int { team.size }
  /// Whether this is the process that creates, assembles and finishes the folder, and prints.
  public var isLeader: Bool { all.isLeader }
  /// Whether there is no other process.
  public var isAlone: Bool { all.size == 1 }
}
