import Files
import Checkpoint
import Foundation

/// The folder of a run: what is finished lies in its `partial` until all is, and then the results take its place.
///
/// Every file is written aside and renamed, `result.json` last. So a run that ends early, however it ends, loses the unit
/// it was at, and the same command goes on from there.
public final class RunFolder {
  /// Where the run is, as it was named.
  public let path: String
  /// Whether the folder holds all that is asked for already.
  public let isComplete: Bool
  let journal: FolderJournal
  /// What the folder is of: all prompts of the run that was begun in it, whose groups depend on each other.
  let manifest: RunManifest
  /// The manifest's prompts that are asked for now, in ascending order.
  package let asked: [Int]
  /// Whether the manifest's prompts are those asked for, in the same order.
  let isOfTheseAlone: Bool
  private var partial: OutputFolder?
  private var lock: FolderLock?

  private static let partialName = "partial"

  /// Opens the folder of a run before any work: a new or empty one, or one in which the same run has been begun, or one of
  /// more prompts.
  ///
  /// Throws `RunError.outputNotEmpty` for a folder that holds something else, `otherRun` for one of a run whose numbers
  /// would be others, `inUse` while another process is at it, and `cannotWrite` when nothing can be made there.
  public init(_ path: String, for requested: RunManifest) throws {
    self.path = path
    let home = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    let partial = "\(home)/\(Self.partialName)"
    journal = FolderJournal(partial)
    // Nothing is made in a folder that is not ours, or is not to be changed.
    var contents = try Contents(home, path: path, for: requested)
    if !contents.isComplete {
      let made = try OutputFolder(making: partial, name: path)
      let lock: FolderLock
      do {
        lock = try FolderLock(partial, name: path)
        // Another process may have begun or finished a run since we looked: what we see now stays.
        contents = try Contents(home, path: path, for: requested)
        if !contents.isComplete { try made.write(contents.manifest.json(), to: "manifest.json") }
      } catch {
        if case .inUse? = error as? RunError {} else if journal.isEmpty { made.takeBack() }
        throw error
      }
      if contents.isComplete {
        made.takeBack()
      } else {
        (self.partial, self.lock) = (made, lock)
      }
    } else if FileManager.default.fileExists(atPath: partial) {
      // A run that was killed while it cleared away what its results were made of.
      if (try? FolderLock(partial, name: path)) != nil {
        try? FileManager.default.removeItem(atPath: partial)
      }
    }
    (isComplete, manifest) = (contents.isComplete, contents.manifest)
    let places = manifest.places(of: requested.prompts)
    asked = places.compactMap { $0 }.sorted()
    isOfTheseAlone = places == Array(manifest.prompts.indices)
  }

  /// What lies in a folder before a run, and the manifest to go on with there.
  private struct Contents {
    let isComplete: Bool
    let manifest: RunManifest

    /// Throws `RunError.outputNotEmpty` and `otherRun`.
    init(_ home: String, path: String, for requested: RunManifest) throws {
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
      guard let earlier = RunFolder.manifest(in: home) else {
        guard names.isEmpty || RunFolder.isBarelyBegun(home) else {
          throw RunError.outputNotEmpty(path: path)
        }
        (isComplete, manifest) = (false, requested)
        return
      }
      if let reason = try earlier.manifest.obstacle(to: requested) {
        throw RunError.otherRun(path: path, reason: reason)
      }
      // What was not kept of a run that has ended cannot be had of it.
      if earlier.isComplete, requested.settings.saveHiddenStates,
        let reason = try earlier.manifest.settings.difference(
          .saveHiddenStates, from: requested.settings)
      {
        throw RunError.otherRun(path: path, reason: reason)
      }
      isComplete = earlier.isComplete
      var manifest = requested
      manifest.prompts = earlier.manifest.prompts
      let before = earlier.manifest.computedWith ?? []
      manifest.computedWith =
        before + (requested.computedWith ?? []).filter { !before.contains($0) }
      self.manifest = manifest
    }
  }

  /// Lets other processes at the folder; this one is done with it.
  public func release() { lock = nil }

  /// Whether a folder holds nothing but what a run leaves that ends before its manifest is written.
  private static func isBarelyBegun(_ folder: String) -> Bool {
    let files = FileManager.default
    let inside = try? files.contentsOfDirectory(atPath: "\(folder)/\(partialName)")
    return (try? files.contentsOfDirectory(atPath: folder)) == [partialName]
      && inside?.allSatisfy { $0 == "lock" || $0.hasSuffix(".tmp") } == true
  }

  /// What is begun or finished in a folder; nil if it holds no run.
  private static func manifest(in folder: String) -> (manifest: RunManifest, isComplete: Bool)? {
    if FileManager.default.fileExists(atPath: "\(folder)/result.json") {
      guard let record = try? StoredRun(folder, .identities).record else { return nil }
      // One that says it is not complete has nothing left to go on from but what lies beside it.
      if record.complete { return (RunManifest(record), true) }
    }
    return FileManager.default.contents(atPath: "\(folder)/\(partialName)/manifest.json").flatMap {
      (try? RunManifest(json: $0)).map { ($0, false) }
    }
  }

  /// What is known of a run that has been begun in a folder and not finished; nil if there is none.
  static func begun(in folder: String) throws -> RunRecord? {
    guard let manifest = manifest(in: folder)?.manifest else { return nil }
    return try RunAssembly(
      manifest: manifest, journal: FolderJournal("\(folder)/\(partialName)")
    ).result(seconds: .init(total: 0, load: 0, solve: 0, coupling: 0), meter: nil).record
  }

  /// Whether the end of the process now would leave something to go on from.
  public var keepsWork: Bool { !journal.isEmpty }

  /// Writes the results of a complete run and clears what they were made of. Throws `RunError.cannotWrite`, and `lostUnit`
  /// or `cannotRead` if not everything is there to write; then what is finished stays.
  ///
  /// Returns the record with its prompts condensed to what the statistics read. Precondition: the folder is not complete.
  @discardableResult
  public func finish(_ result: RunResult) throws -> RunRecord {
    guard let partial else { preconditionFailure("a folder that is complete is finished") }
    let assembly = result.assembly
    do {
      var arrays = ["triplets.safetensors"]
      let aside = { (name: String) in "\(partial.path)/\(name)" }
      try assembly.writeTriplets(to: aside(arrays[0]))
      if try assembly.writeCouplings(to: aside("couplings.safetensors")) {
        arrays.append("couplings.safetensors")
      }
      if manifest.settings.saveHiddenStates {
        arrays.append("hidden_states.safetensors")
        try assembly.writeHiddenStates(to: aside("hidden_states.safetensors"))
      }
      for name in arrays {
        guard rename(aside(name), "\(home)/\(name)") == 0 else { throw partial.failure() }
      }
    } catch FileError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: path, reason: reason)
    }
    let writer = try RecordWriter(partial, into: home, diagonal: manifest.settings.diagonal)
    try assembly.forEachResult { prompt in
      guard prompt.isComplete else {
        throw RunError.lostUnit(path: path, unit: "what was found of some prompts")
      }
      try writer.append(
        prompt.outline, coupling: { try prompt.forEachCoupling(nil, $0) },
        overlap: prompt.forEachOverlap)
    }
    let record = try writer.finish { result.record(isComplete: true, prompts: $0) }
    try? FileManager.default.removeItem(atPath: partial.path)
    return record
  }

  /// Has a complete run shown as is asked for now, which its `result.json` says, as do the means in it; whether it did so
  /// otherwise before.
  ///
  /// Throws `RunError.badRun` for what is not a record, `inUse` and `cannotWrite`. Precondition: the folder is complete.
  @discardableResult
  public func adopt(_ reading: ReadingSettings) throws -> Bool {
    precondition(isComplete, "a run that goes on is read as is asked for anyway")
    let file = try RecordFile(home)
    guard file.head.settings.reading != reading else { return false }
    let partial = try OutputFolder(making: journal.path, name: path)
    defer { partial.takeBack() }
    let lock = try FolderLock(partial.path, name: path)
    try withExtendedLifetime(lock) {
      let writer = try RecordWriter(partial, into: home, diagonal: reading.diagonal)
      for p in 0..<file.count { try file.copy(prompt: p, to: writer) { _ in } }
      _ = try writer.finish { prompts in
        var record = file.head
        record.settings.reading = reading
        (record.prompts, record.statistics) = (
          prompts, StudyStatistics(prompts, diagonal: reading.diagonal)
        )
        return record
      }
    }
    return true
  }

  /// After a failure: takes back what was made, unless there is something to go on from.
  public func abandon() {
    guard !isComplete, !keepsWork else { return }
    partial?.takeBack()
  }

  /// Takes back what was made for a run none of whose prompts came through, unless others' work is among it.
  func discard() {
    if asked.count == manifest.prompts.count { partial?.takeBack() }
  }

  private var home: String { (journal.path as NSString).deletingLastPathComponent }
}

/// The lock on what is kept of a run, held as long as this object lives, and no longer than the process.
private final class FolderLock {
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
