import Foundation
import Processes

/// How long other processes' files may take to appear on a shared file system.
struct Visibility {
  /// The seconds after which a file counts as missing: as long as NFS may keep what it knows about a folder.
  var seconds = 60.0

  /// What `read` finds, once it finds something. `pause` is called in between, and may throw. Throws `RunError.notVisible`.
  func wait<Unit>(
    for unit: String, in folder: String, pause: () throws -> Void = {}, _ read: () throws -> Unit?
  ) throws -> Unit {
    let end = monotonicSeconds() + seconds
    var sleep = 0.01
    while true {
      if let found = try read() { return found }
      try pause()
      guard monotonicSeconds() < end else { throw RunError.notVisible(path: folder, unit: unit) }
      Thread.sleep(forTimeInterval: sleep)
      sleep = min(1, 1.5 * sleep)
    }
  }
}

extension ResultFolder {
  /// What team 0 tells the others about the folder.
  private struct Opened: Codable {
    let home: String
    let isComplete: Bool
    let manifest: Data

    init(_ folder: ResultFolder) throws {
      (home, isComplete) = (folder.home, folder.isComplete)
      manifest = try folder.manifest.json()
    }
  }

  /// Opens a folder in which several teams of processes work.
  ///
  /// All have opened the same run (`RunProcesses.opened`). Team 0 creates and locks the folder; the others only write units there,
  /// without a lock. Throws like the initializer, `RunError.notVisible`, and `WorkStopped`.
  package static func open(
    _ path: String, for requested: Manifest, among sharing: any WorkSharing
  ) throws -> ResultFolder { try open(path, for: requested, among: sharing, Visibility()) }

  /// Opens a folder in one of the processes of a run.
  package static func open(
    _ path: String, for requested: Manifest, as processes: RunProcesses
  ) throws -> ResultFolder { try open(path, for: requested, as: processes, Visibility()) }

  static func open(
    _ path: String, for requested: Manifest, among sharing: any WorkSharing,
    _ visibility: Visibility
  ) throws -> ResultFolder {
    guard sharing.isShared else { return try ResultFolder(path, for: requested) }
    let names = (0..<sharing.teams).map { "manifest of team \($0)" }
    try sharing.finish(names[sharing.team], note: try requested.json())
    guard sharing.team == 0 else {
      let note = try sharing.wait(for: ["folder"])[0]
      return try joined(path, note, visibility) { _ = try sharing.notes(of: []) }
    }
    var merged = requested
    // With all processors, and this process's settings.
    for json in try sharing.wait(for: names).dropFirst() {
      merged = merged.continued(by: try Manifest(json: json)).continued(by: requested)
    }
    let folder = try ResultFolder(path, for: merged)
    try sharing.finish("folder", note: try JSONEncoder().encode(try Opened(folder)))
    return folder
  }

  /// The folder that another process has opened, once it is visible.
  private static func joined(
    _ path: String, _ note: Data, _ visibility: Visibility, pause: () throws -> Void = {}
  ) throws -> ResultFolder {
    let opened = try JSONDecoder().decode(Opened.self, from: note)
    let folder = ResultFolder(
      joining: path, home: opened.home, isComplete: opened.isComplete,
      try Manifest(json: opened.manifest))
    if !opened.isComplete {
      try visibility.wait(for: "manifest.json", in: folder.partialPath, pause: pause) {
        FileManager.default.fileExists(atPath: "\(folder.partialPath)/manifest.json") ? () : nil
      }
    }
    return folder
  }

  /// Opens a folder in which teams work whose members hold one Jacobian together: the leader of a team opens it for all of them.
  ///
  /// Throws in every member alike.
  static func open(
    _ path: String, for requested: Manifest, as processes: RunProcesses, _ visibility: Visibility
  ) throws -> ResultFolder {
    let team = processes.team
    var result: Result<(ResultFolder, note: Data), any Error>?
    if team.isLeader {
      result = Result {
        let folder = try open(path, for: requested, among: processes.sharing, visibility)
        return (folder, try JSONEncoder().encode(try Opened(folder)))
      }
    }
    guard team.size > 1 else { return try result!.get().0 }
    var failure: WorkStopped?
    if case .failure(let error)? = result { failure = processes.failure(error) }
    try team.agree(failure)
    let note = team.leaders([UInt8](try result?.get().note ?? Data()))
    return try result?.get().0 ?? joined(path, Data(note), visibility)
  }
}
