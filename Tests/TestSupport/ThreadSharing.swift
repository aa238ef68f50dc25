public import Processes

/// Work shared by the threads of a `ThreadTeam`, in place of processes.
public final class ThreadSharing: WorkSharing {
  /// The number of this team.
  public let team: Int
  /// The number of teams.
  public let teams: Int
  private let list: SharedWorkList

  private init(team: Int, of teams: Int, _ list: SharedWorkList) {
    (self.team, self.teams, self.list) = (team, teams, list)
  }

  /// One for each team, all on one list.
  public static func sharings(_ teams: Int) -> [ThreadSharing] {
    let list = SharedWorkList(teams: teams)
    return (0..<teams).map { ThreadSharing(team: $0, of: teams, list) }
  }

  /// The answer to a request.
  public func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
    try list.answer(request, from: team)
  }

  /// Whether a team has stopped the work.
  public var isStopped: Bool { list.isStopped }
}
