public import Foundation

/// A list of work that several teams of processes share, each taking the next unit when it has finished one.
///
/// A unit has a name that the program chooses and is open, taken by one team, or finished with a note for the others. All calls
/// are requests to one `WorkList`; any number of threads may make them.
public protocol WorkSharing: AnyObject, Sendable {
  /// The number of this team, from 0. Team 0 creates and finishes what all of them write.
  var team: Int { get }
  /// The number of teams.
  var teams: Int { get }
  /// The answer to a request. Throws the failure that stopped the work, once there is one.
  func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer
  /// Whether a team has stopped the work. Cheap enough to be read before every product of a solve.
  var isStopped: Bool { get }
}

/// The failure of one process, which stops all of them.
public struct WorkStopped: Error, Sendable, Equatable, Codable {
  /// What happened, for the user.
  public let message: String
  /// The exit status of the command.
  public let status: Int32
  /// The number of the process that failed; nil if the failure concerns all of them alike.
  public let process: Int?

  /// A failure of a process, or of all.
  public init(_ message: String, status: Int32, process: Int?) {
    (self.message, self.status, self.process) = (message, status, process)
  }
}

extension WorkSharing {
  /// Whether there are other teams.
  public var isShared: Bool { teams > 1 }

  /// Takes a unit; false if a team has taken it already.
  public func claim(_ unit: String) throws(WorkStopped) -> Bool {
    try ask(.claim(unit)) == .isClaimed(true)
  }

  /// Says that a unit is finished and what it wrote is where the others look for it, with a note for them.
  public func finish(_ unit: String, note: Data = Data()) throws(WorkStopped) {
    _ = try ask(.finish(unit, note))
  }

  /// The notes of these units; nil for those that are not finished.
  public func notes(of units: [String]) throws(WorkStopped) -> [Data?] {
    guard case .notes(let notes) = try ask(.notes(units)) else { return units.map { _ in nil } }
    return notes
  }

  /// Waits until these units are finished, without occupying a core, and returns their notes. `pause` is called now and then, and
  /// may throw.
  public func wait(for units: [String], pause: () throws -> Void = {}) throws -> [Data] {
    var seconds = 0.001
    while true {
      let notes = try notes(of: units).compactMap { $0 }
      if notes.count == units.count { return notes }
      try pause()
      Thread.sleep(forTimeInterval: seconds)
      seconds = min(0.05, 1.5 * seconds)
    }
  }

  /// Goes to the place with the fewest teams, the first of them if several have as few, and returns it; nil if there are none. A
  /// team is at one place at a time.
  public func enter(_ places: [Int]) throws(WorkStopped) -> Int? {
    guard case .place(let place) = try ask(.enter(places)) else { return nil }
    return place
  }

  /// Adds to counters that all teams share, and returns their values.
  public func count(_ amounts: [Int]) throws(WorkStopped) -> [Int] {
    guard case .counts(let counts) = try ask(.count(amounts)) else { return amounts }
    return counts
  }

  /// What stopped the work; nil while it goes on.
  public var failure: WorkStopped? {
    guard isStopped else { return nil }
    do { _ = try ask(.notes([])) } catch { return error }
    return nil
  }

  /// Stops the work of all teams. Only the first failure counts.
  public func fail(_ failure: WorkStopped) { _ = try? ask(.fail(failure)) }
}

/// The work of a single team: every unit is its own.
public final class AloneSharing: WorkSharing {
  private let list = SharedWorkList(teams: 1)
  /// A list without units.
  public init() {}
  /// 0.
  public var team: Int { 0 }
  /// 1.
  public var teams: Int { 1 }
  /// The answer to a request.
  public func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
    try list.answer(request, from: 0)
  }
  /// Whether the work was stopped.
  public var isStopped: Bool { list.isStopped }
}
