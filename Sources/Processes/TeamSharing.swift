import Foundation

/// A list of work as the members of one team use it together: the leader asks, and all members, which ask the same, get its answer.
public final class TeamSharing: WorkSharing {
  private let base: any WorkSharing
  private let members: any Communicator

  /// The list of the team with these members.
  public init(_ base: any WorkSharing, among members: any Communicator) {
    (self.base, self.members) = (base, members)
  }

  /// The number of this team.
  public var team: Int { base.team }
  /// The number of teams.
  public var teams: Int { base.teams }
  /// Whether a team has stopped the work; members may learn of it at different times.
  public var isStopped: Bool { base.isStopped }

  /// The answer to the leader's request. Throws in every member alike.
  public func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
    if case .fail = request { return try base.ask(request) }
    var answer = WorkAnswer.done
    if members.isLeader {
      do { answer = try base.ask(request) } catch { answer = .stopped(error) }
    }
    let bytes = members.leaders([UInt8]((try? JSONEncoder().encode(answer)) ?? Data()))
    answer = (try? JSONDecoder().decode(WorkAnswer.self, from: Data(bytes))) ?? .done
    if case .stopped(let failure) = answer { throw failure }
    return answer
  }
}
