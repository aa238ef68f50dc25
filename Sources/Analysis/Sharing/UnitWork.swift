import Foundation
import Processes

/// The units of a run in a folder, shared with other processes if there are any, and its progress.
///
/// The leader creates and finishes the folder; the others write units only. With one process, every unit is its own.
final class UnitWork<Manifest: FolderManifest> {
  /// The folder of the results.
  let folder: ResultFolder<Manifest>
  private let sharing: any WorkSharing
  private let team: any Communicator
  private let progress: (any RunProgress)?
  /// The amount of all work, in the unit in which it is counted.
  private let total: Int
  private let start = monotonicSeconds()

  init(
    _ folder: ResultFolder<Manifest>, _ processes: RunProcesses, _ progress: (any RunProgress)?,
    total: Int
  ) {
    (self.folder, team) = (folder, processes.team)
    sharing = processes.teamSharing
    (isLeader, self.progress, self.total) = (processes.isLeader, progress, total)
  }

  /// The number of processes that share the units.
  var teams: Int { sharing.teams }
  /// Whether others work on the units too.
  var isShared: Bool { sharing.isShared }
  /// Whether this is the process that finishes the folder.
  let isLeader: Bool
  /// Whether this is the team of that process.
  var isLeadersTeam: Bool { sharing.team == 0 }
  /// Whether this process writes the units of its team.
  var writes: Bool { team.isLeader }

  /// Whether any member of the team says so, in all of them.
  func isAny(_ isSo: Bool) -> Bool { team.isAny(isSo) }

  // MARK: Units

  /// Takes a unit; false if another process has it. Throws as `check` does.
  func claim(_ unit: String) throws -> Bool {
    try check()
    return try sharing.claim(unit)
  }

  /// Says that a unit is finished and its file written.
  func finish(_ unit: String, note: Data = Data()) throws { try sharing.finish(unit, note: note) }

  /// Whether these units are finished.
  func areFinished(_ units: [String]) throws -> Bool {
    try sharing.notes(of: units).allSatisfy { $0 != nil }
  }

  /// Waits for units that others finish, and returns their notes. Throws as `check` does.
  @discardableResult
  func wait(for units: [String]) throws -> [Data] {
    try sharing.wait(for: units) {
      try check()
      if isLeadersTeam { try count(0, isNew: false, "waiting") }
    }
  }

  /// Says that this team needs nothing more from the folder. The leader's team waits until all teams have said so: then all units
  /// are finished, and none that is still looked for is removed when the folder is finished. Throws as `check` does.
  func leave() throws {
    let names = (0..<sharing.teams).map { "left by team \($0)" }
    try finish(names[sharing.team])
    if isLeadersTeam { try wait(for: names) }
  }

  /// What `read` finds of a unit that is finished: on a network file system that of another process may appear late.
  ///
  /// Throws `RunError.lostUnit` if it is gone, and `notVisible` if it does not appear.
  func finished<Unit>(_ unit: String, _ read: () throws -> Unit?) throws -> Unit {
    if let found = try read() { return found }
    guard isShared else { throw RunError.lostUnit(path: folder.path, unit: unit) }
    return try Visibility().wait(for: unit, in: folder.path, pause: check, read)
  }

  // MARK: Progress

  /// Whether the work is to stop: by the user's wish, or because another process failed.
  var isCancelled: Bool { isAny(progress?.isCancelled == true || sharing.isStopped) }

  /// Throws `RunError.interrupted` or `WorkStopped` if the work is to stop.
  func check() throws {
    if isAny(progress?.isCancelled == true) {
      throw RunError.interrupted(resume: folder.keepsWork ? folder.path : nil)
    }
    // The answer is the failure.
    if isAny(sharing.isStopped) { _ = try sharing.notes(of: []) }
  }

  /// Reports what this process reads while its work waits for that. Throws `RunError.interrupted`.
  func report(_ reading: ReadingProgress?) throws {
    progress?.report(reading)
    if progress?.isCancelled == true {
      throw RunError.interrupted(resume: folder.keepsWork ? folder.path : nil)
    }
  }

  /// Counts finished work, computed now or known from an earlier run, and shows the progress of all processes.
  func count(_ amount: Int, isNew: Bool, _ phase: String) throws {
    let counts = try sharing.count([amount, isNew ? amount : 0])
    let (done, computed) = (counts[0], counts[1])
    let each = computed > 0 ? (monotonicSeconds() - start) / Double(computed) : nil
    progress?.update(
      RunProgressState(
        phase: phase, completed: done, total: total,
        secondsLeft: each.map { $0 * Double(total - done) }))
  }
}
