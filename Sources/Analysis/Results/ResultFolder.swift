import Files
import Foundation

/// What decides the numbers of a command's results, written down before any of them.
package protocol FolderManifest: Codable, Sendable {
  /// How the names of the files begin that hold what would have to be computed again.
  static var unitPrefix: String { get }
  /// Of results that are complete, as their folder's `result.json` has it; nil where there is no such file.
  static func finished(in folder: String) -> Self?
  /// What keeps what is asked for from going on where this one stopped, if anything does: the setting or the part that
  /// differs.
  func obstacle(to requested: Self, isComplete: Bool) throws -> SettingMessage?
  /// The manifest to go on with, when there is no obstacle.
  func continued(by requested: Self) -> Self
}

extension FolderManifest {
  /// For commands whose units are kept by `ResultFolder.keep`.
  package static var unitPrefix: String { "unit-" }

  /// What is asked for now: settings that no number depends on may differ.
  package func continued(by requested: Self) -> Self { requested }

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

/// The folder a command's results are made in: what is finished lies in its `partial` until all is, and then the results
/// take its place.
///
/// Every file is written aside and renamed, `result.json` last. So a command that ends early, however it ends, loses the
/// unit it was at, and the same command goes on from there.
package final class ResultFolder<Manifest: FolderManifest> {
  /// Where it is, as it was named.
  package let path: String
  /// Where it is.
  let home: String
  /// Where what is finished lies.
  let partialPath: String
  /// What is finished.
  let units: KeptUnits
  /// Whether the folder holds all that is asked for already.
  package let isComplete: Bool
  /// What the folder is of.
  package let manifest: Manifest
  /// The folder of what is finished, to be written into; nil once the results are complete.
  private(set) var partial: OutputFolder?
  private var lock: FolderLock?

  /// Opens the folder before any work: a new or empty one, or one in which the same has been begun.
  ///
  /// Throws `RunError.outputNotEmpty` for a folder that holds something else, `otherRun` for one whose numbers would be
  /// others, `inUse` while another process is at it, and `cannotWrite` when nothing can be made there.
  package init(_ path: String, for requested: Manifest) throws {
    self.path = path
    home = Self.home(of: path)
    let partial = "\(home)/\(partialName)"
    partialPath = partial
    units = KeptUnits(of: path, in: partial, prefix: Manifest.unitPrefix)
    // Nothing is made in a folder that is not ours, or is not to be changed.
    var contents = try Contents(home, path: path, for: requested)
    if !contents.isComplete {
      let made = try OutputFolder(making: partial, name: path)
      let lock: FolderLock
      do {
        lock = try FolderLock(partial, name: path)
        // Another process may have begun or finished since we looked: what we see now stays.
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
      // A command that was killed while it cleared away what its results were made of.
      if (try? FolderLock(partial, name: path)) != nil {
        try? FileManager.default.removeItem(atPath: partial)
      }
    }
    (isComplete, manifest) = (contents.isComplete, contents.manifest)
  }

  /// The folder itself, whatever it is called.
  private static func home(of path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }

  /// What lies in a folder before the work, and the manifest to go on with there.
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

  /// Whether a folder holds nothing but what a command leaves that ends before its manifest is written.
  private static func isBarelyBegun(_ folder: String) -> Bool {
    let files = FileManager.default
    let inside = try? files.contentsOfDirectory(atPath: "\(folder)/\(partialName)")
    return (try? files.contentsOfDirectory(atPath: folder)) == [partialName]
      && inside?.allSatisfy { $0 == "lock" || $0.hasSuffix(".tmp") } == true
  }

  /// What is begun or finished in a folder; nil if it holds nothing of the kind.
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

  /// Lets other processes at the folder; this one is done with it.
  func release() { lock = nil }

  /// What is begun and not finished in a folder, and its units; nil if it holds nothing of the kind.
  static func begun(in folder: String) -> (manifest: Manifest, units: KeptUnits)? {
    guard !FileManager.default.fileExists(atPath: "\(folder)/result.json"),
      let (manifest, _) = manifest(in: folder)
    else { return nil }
    return (
      manifest,
      KeptUnits(of: folder, in: "\(folder)/\(partialName)", prefix: Manifest.unitPrefix)
    )
  }

  /// Whether the end of the process now would leave something to go on from.
  package var keepsWork: Bool { !units.names.isEmpty }

  // MARK: The end

  /// Where a file of the results is written before all of them take their places.
  func aside(_ name: String) -> String { "\(partialPath)/\(name)" }

  /// Writes a file of the results aside. Throws `RunError.cannotWrite`.
  func write(_ data: Data, aside name: String) throws(RunError) { try open().write(data, to: name) }

  /// Gives files that were written aside their places. Throws `RunError.cannotWrite`.
  func place(_ names: [String]) throws(RunError) {
    for name in names {
      guard rename(aside(name), "\(home)/\(name)") == 0 else { throw open().failure() }
    }
  }

  /// Gives files that were written aside their places, and last `result.json`; then clears what they were made of.
  ///
  /// Throws `RunError.cannotWrite`. Precondition: the folder is not complete.
  func finish(_ names: [String], result: Data) throws(RunError) {
    try place(names)
    try open().write(result, to: "result.json", into: home)
    clear()
  }

  /// Clears what the results were made of.
  func clear() { try? FileManager.default.removeItem(atPath: partialPath) }

  /// After a failure: takes back what was made, unless there is something to go on from.
  package func abandon() {
    guard !isComplete, !keepsWork else { return }
    partial?.takeBack()
  }

  /// Takes back what was made for work that came to nothing.
  func takeBack() { partial?.takeBack() }

  private func open() -> OutputFolder {
    guard let partial else { preconditionFailure("a folder that is complete is finished") }
    return partial
  }
}

/// The folder in a command's folder where what is finished lies.
let partialName = "partial"

/// The lock on what is kept of a run, held as long as this object lives, and no longer than the process.
final class FolderLock {
  private let descriptor: CInt

  /// Throws `RunError.inUse` while another process holds it, `cannotWrite` where no lock can be made.
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
      // The file that is locked must be the one that others find: who finished the run before us has removed it.
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
