import Files
import Foundation

/// Everything that determines the numbers of a command's results, written before any of them is computed.
package protocol FolderManifest: Codable, Sendable {
  /// The prefix of the files that hold finished units.
  static var unitPrefix: String { get }
  /// The manifest of complete results, from the folder's `result.json`; nil if there is no such file.
  static func finished(in folder: String) -> Self?
  /// Why the requested work cannot resume this one: the setting or the part that differs; nil if it can.
  func obstacle(to requested: Self, isComplete: Bool) throws -> SettingMessage?
  /// Why another process that works for this run has opened another one; nil if it has opened the same.
  func difference(from other: Self) throws -> SettingMessage?
  /// The manifest to resume with, if there is no obstacle.
  func continued(by requested: Self) -> Self
}

extension FolderManifest {
  /// The prefix for commands that keep their units with `KeptUnits.keep`.
  package static var unitPrefix: String { "unit-" }

  /// The requested manifest: settings that no number depends on may differ.
  package func continued(by requested: Self) -> Self { requested }

  /// What keeps either from resuming the other.
  package func difference(from other: Self) throws -> SettingMessage? {
    try obstacle(to: other, isComplete: true) ?? other.obstacle(to: self, isComplete: true)
  }

  /// The bytes of `manifest.json`.
  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// Reads what `json()` writes. Throws `DecodingError`.
  init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    self = try decoder.decode(Self.self, from: json)
  }
}

/// The folder in which a command's results are made: finished units are kept in its `partial` until all are finished, and then
/// the results replace them.
///
/// Every file is written under a temporary name and renamed, `result.json` last. So a command that ends early, however it ends,
/// loses only the unit it was working on, and the same command resumes from there.
package final class ResultFolder<Manifest: FolderManifest> {
  /// The path of the folder, as given.
  package let path: String
  /// The path of the folder itself.
  let home: String
  /// The path of the finished units.
  let partialPath: String
  /// The finished units.
  let units: KeptUnits
  /// Whether the folder already holds everything requested.
  package let isComplete: Bool
  /// The manifest of the folder.
  package let manifest: Manifest
  /// The folder of finished units, for writing; nil once the results are complete.
  private(set) var partial: OutputFolder?
  private var lock: FolderLock?

  /// Opens the folder before any work: a new or empty one, or one in which the same work has been started.
  ///
  /// Throws `RunError.outputNotEmpty` for a folder that holds something else, `otherRun` for one whose numbers would
  /// differ, `inUse` while another process uses it, and `cannotWrite` if nothing can be written there.
  package init(_ path: String, for requested: Manifest) throws {
    self.path = path
    home = Self.home(of: path)
    let partial = "\(home)/\(partialName)"
    partialPath = partial
    units = KeptUnits(of: path, in: partial, prefix: Manifest.unitPrefix)
    // Nothing is created in a folder that is not ours or must not be changed.
    var contents = try Contents(home, path: path, for: requested)
    if !contents.isComplete {
      let made = try OutputFolder(making: partial, name: path)
      let lock: FolderLock
      do {
        lock = try FolderLock(partial, name: path)
        // Another process may have started or finished since we looked; with the lock held, what we see now is final.
        contents = try Contents(home, path: path, for: requested)
        if !contents.isComplete { try made.write(contents.manifest.json(), to: "manifest.json") }
      } catch {
        if case .inUse? = error as? RunError {
        } else if units.names.isEmpty {
          made.takeBack()
        }
        throw error
      }
      if contents.isComplete {
        made.takeBack()
      } else {
        (self.partial, self.lock) = (made, lock)
      }
    } else if FileManager.default.fileExists(atPath: partial) {
      // A previous command was killed while it removed the units its results were made of.
      if (try? FolderLock(partial, name: path)) != nil {
        try? FileManager.default.removeItem(atPath: partial)
      }
    }
    (isComplete, manifest) = (contents.isComplete, contents.manifest)
  }

  /// A folder that another process has opened, in which this one only writes units.
  init(joining path: String, home: String, isComplete: Bool, _ manifest: Manifest) {
    (self.path, self.home, self.isComplete, self.manifest) = (path, home, isComplete, manifest)
    partialPath = "\(home)/\(partialName)"
    units = KeptUnits(of: path, in: partialPath, prefix: Manifest.unitPrefix)
  }

  /// The folder itself, symbolic links resolved.
  private static func home(of path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }

  /// What a folder holds before the work, and the manifest to continue with.
  private struct Contents {
    let isComplete: Bool
    let manifest: Manifest

    /// Throws `RunError.outputNotEmpty` and `otherRun`.
    init(_ home: String, path: String, for requested: Manifest) throws {
      let files = FileManager.default
      guard files.fileExists(atPath: home) else {
        (isComplete, manifest) = (false, requested)
        return
      }
      var isFolder: ObjCBool = false
      guard files.fileExists(atPath: home, isDirectory: &isFolder), isFolder.boolValue else {
        throw RunError.outputNotEmpty(path: path)
      }
      let names: [String]
      do {
        names = try files.contentsOfDirectory(atPath: home)
      } catch {
        throw RunError.cannotRead(path: path, reason: error.localizedDescription)
      }
      guard let earlier = ResultFolder.manifest(in: home) else {
        guard names.isEmpty || ResultFolder.isBarelyBegun(home) else {
          throw RunError.outputNotEmpty(path: path)
        }
        (isComplete, manifest) = (false, requested)
        return
      }
      if let reason = try earlier.manifest.obstacle(to: requested, isComplete: earlier.isComplete) {
        throw RunError.otherRun(path: path, reason: reason)
      }
      isComplete = earlier.isComplete
      manifest = earlier.manifest.continued(by: requested)
    }
  }

  /// Whether a folder holds only what a command leaves if it ends before its manifest is written.
  private static func isBarelyBegun(_ folder: String) -> Bool {
    let files = FileManager.default
    let inside = try? files.contentsOfDirectory(atPath: "\(folder)/\(partialName)")
    return (try? files.contentsOfDirectory(atPath: folder)) == [partialName]
      && inside?.allSatisfy { $0 == "lock" || $0.hasSuffix(".tmp") } == true
  }

  /// The work started or finished in a folder; nil if it holds nothing of this kind.
  static func manifest(in folder: String) -> (manifest: Manifest, isComplete: Bool)? {
    if FileManager.default.fileExists(atPath: "\(folder)/result.json"),
      let finished = Manifest.finished(in: folder)
    {
      return (finished, true)
    }
    return FileManager.default.contents(atPath: "\(folder)/\(partialName)/manifest.json").flatMap {
      (try? Manifest(json: $0)).map { ($0, false) }
    }
  }

  /// Releases the folder to other processes.
  func release() { lock = nil }

  /// The unfinished work in a folder, and its units; nil if there is none of this kind.
  static func begun(in folder: String) -> (manifest: Manifest, units: KeptUnits)? {
    guard !FileManager.default.fileExists(atPath: "\(folder)/result.json"),
      let (manifest, _) = manifest(in: folder)
    else { return nil }
    return (
      manifest,
      KeptUnits(of: folder, in: "\(folder)/\(partialName)", prefix: Manifest.unitPrefix)
    )
  }

  /// Whether there is something to resume from if the process ended now.
  package var keepsWork: Bool { !units.names.isEmpty }

  // MARK: The end

  /// The path where a result file is written before all result files are moved to their places.
  func aside(_ name: String) -> String { "\(partialPath)/\(name)" }

  /// Writes a result file to its temporary place. Throws `RunError.cannotWrite`.
  func write(_ data: Data, aside name: String) throws(RunError) { try open().write(data, to: name) }

  /// Moves files from their temporary places to the folder. Throws `RunError.cannotWrite`.
  func place(_ names: [String]) throws(RunError) {
    for name in names {
      guard rename(aside(name), "\(home)/\(name)") == 0 else { throw open().failure() }
    }
  }

  /// Moves files from their temporary places to the folder, writes `result.json` last, and removes the units.
  ///
  /// Throws `RunError.cannotWrite`. Precondition: the folder is not complete.
  func finish(_ names: [String], result: Data) throws(RunError) {
    try place(names)
    try open().write(result, to: "result.json", into: home)
    clear()
  }

  /// Removes the units the results were made of.
  func clear() { try? FileManager.default.removeItem(atPath: partialPath) }

  /// After a failure, removes what was created unless there is something to resume from.
  package func abandon() {
    guard !isComplete, !keepsWork else { return }
    partial?.takeBack()
  }

  /// Removes what was created for work that produced nothing.
  func takeBack() { partial?.takeBack() }

  private func open() -> OutputFolder {
    guard let partial else { preconditionFailure("the folder is already complete") }
    return partial
  }
}

/// The subfolder of a command's folder that holds finished units.
let partialName = "partial"

/// The lock on a run's folder, held as long as this object lives, and no longer than the process.
final class FolderLock {
  private let descriptor: CInt

  /// Takes the lock. Throws `RunError.inUse` while another process holds it, and `cannotWrite` if it cannot be created.
  init(_ folder: String, name: String) throws(RunError) {
    let path = "\(folder)/lock"
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw .cannotWrite(path: name, reason: String(cString: strerror(errno)))
      }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        throw .inUse(path: name)
      }
      // The locked file must be the one that others find: a process that finished the run before us has removed it.
      var (ours, theirs) = (stat(), stat())
      if fstat(descriptor, &ours) == 0, stat(path, &theirs) == 0, ours.st_ino == theirs.st_ino,
        ours.st_dev == theirs.st_dev
      {
        self.descriptor = descriptor
        return
      }
      close(descriptor)
      guard FileManager.default.fileExists(atPath: folder) else { throw .inUse(path: name) }
    }
  }

  deinit { close(descriptor) }
}
