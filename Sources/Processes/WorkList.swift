public import Foundation
import Synchronization

/// What a team asks of a `WorkList`.
public enum WorkRequest: Sendable, Equatable, Codable {
  /// To have this unit.
  case claim(String)
  /// To mark a unit as finished, with a note.
  case finish(String, Data)
  /// To read the notes of units.
  case notes([String])
  /// To go to one of these places.
  case enter([Int])
  /// To add to the counters.
  case count([Int])
  /// To stop everything.
  case fail(WorkStopped)
}

/// The answer to a `WorkRequest`.
public enum WorkAnswer: Sendable, Equatable, Codable {
  /// Whether the team has the unit now and no team had it before.
  case isClaimed(Bool)
  /// The notes of the units; nil for those that are not finished.
  case notes([Data?])
  /// The place to go to.
  case place(Int?)
  /// The counters.
  case counts([Int])
  /// Nothing but that the request was carried out.
  case done
  /// That the work was stopped.
  case stopped(WorkStopped)
}

/// The state of shared work: which units are taken or finished, where each team is, and whether the work goes on.
///
/// It is a function of the requests so far, in the order of their arrival; how they arrive is up to others.
public struct WorkList: Sendable {
  private var taken: Set<String> = []
  private var notes: [String: Data] = [:]
  /// The place of each team.
  private var places: [Int?]
  private var counts: [Int] = []
  /// The failure that stopped the work.
  public private(set) var failure: WorkStopped?

  /// A list without units.
  public init(teams: Int) { places = [Int?](repeating: nil, count: teams) }

  /// Carries out a request of a team.
  public mutating func answer(_ request: WorkRequest, from team: Int) -> WorkAnswer {
    if let failure { return .stopped(failure) }
    switch request {
    case .claim(let unit):
      return .isClaimed(notes[unit] == nil && taken.insert(unit).inserted)
    case .finish(let unit, let note):
      if notes[unit] == nil { notes[unit] = note }
      return .done
    case .notes(let units):
      return .notes(units.map { notes[$0] })
    case .enter(let candidates):
      places[team] = nil
      places[team] = candidates.min { teams(at: $0) < teams(at: $1) }
      return .place(places[team])
    case .count(let amounts):
      for (i, amount) in amounts.enumerated() {
        if i == counts.count { counts.append(0) }
        counts[i] += amount
      }
      return .counts(counts)
    case .fail(let failure):
      self.failure = failure
      return .stopped(failure)
    }
  }

  private func teams(at place: Int) -> Int { places.count { $0 == place } }
}

/// A `WorkList` for the threads of one process.
public final class SharedWorkList: Sendable {
  private let list: Mutex<WorkList>

  /// A list without units.
  public init(teams: Int) { list = Mutex(WorkList(teams: teams)) }

  /// Carries out a request of a team. Throws the failure that stopped the work.
  public func answer(_ request: WorkRequest, from team: Int) throws(WorkStopped) -> WorkAnswer {
    let answer = list.withLock { $0.answer(request, from: team) }
    if case .stopped(let failure) = answer { throw failure }
    return answer
  }

  /// Whether a team has stopped the work.
  public var isStopped: Bool { list.withLock { $0.failure != nil } }
}
