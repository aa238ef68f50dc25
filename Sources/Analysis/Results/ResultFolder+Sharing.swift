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
  }

  /// Opens a folder in which several teams of processes work.
  ///
  /// All have opened the same run (`RunProcesses.opened`). Team 0 creates and locks the folder; the others only write units there,
  /// without a lock. Throws like the initializer, `RunError.notVisible`, and `WorkStopped`.
  package static func open(
    _ path: String, for requested: Manifest, among sharing: any WorkSharing
  ) throws -> ResultFolder { try open(path, for: requested, among: sharing, Visibility()) }

  static func open(
    _ path: String, for requested: Manifest, among sharing: any WorkSharing,
    _ visibility: Visibility
  ) throws -> ResultFolder {
    guard sharing.isShared else { return try ResultFolder(path, for: requested) }
    let names = (0..<sharing.teams).map { "manifest of team \($0)" }
    try sharing.finish(names[sharing.team], note: try requested.json())
    guard sharing.team == 0 else {
      let note = try sharing.wait(for: ["folder"])[0]
      let opened = try JSONDecoder().decode(Opened.self, from: note)
      let folder = ResultFolder(
        joining: path, home: opened.home, isComplete: opened.isComplete,
        try Manifest(json: opened.manifest))
      if !opened.isComplete {
        try visibility.wait(
          for: "manifest.json", in: folder.partialPath, pause: { _ = try sharing.notes(of: []) }
        ) {
          FileManager.default.fileExists(atPath: "\(folder.partialPath)/manifest.json") ? () : nil
        }
      }
      return folder
    }
    var merged = requested
    // With all processors, and this process's settings.
    for json in try sharing.wait(for: names).dropFirst() {
      merged = merged.continued(by: try Manifest(json: json)).continued(by: requested)
    }
    let folder = try ResultFolder(path, for: merged)
    let opened = Opened(
      home: folder.home, isComplete: folder.isComplete, manifest: try folder.manifest.json())
    try sharing.finish("folder", note: try JSONEncoder().encode(opened))
    return folder
  }
}
