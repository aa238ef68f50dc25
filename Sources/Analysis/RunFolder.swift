import Checkpoint
import Foundation

/// The folder of a run: what is finished lies in its `partial` until all is, and then the results take its place.
///
/// Every file is written aside and renamed, `result.json` last. So a run that ends early, however it ends, loses the unit
/// it was at, and the same command goes on from there.
public final class RunFolder {
  /// Where the run is, as it was named.
  public let path: String
  /// Whether the folder holds the whole of this run already.
  public let isComplete: Bool
  let journal: FolderJournal
  let manifest: RunManifest
  /// Folders that were made for it, outermost first.
  private var made: [String] = []
  private var lock: CInt = -1

  private static let partial = "partial"

  /// Opens the folder of a run before any work: a new or empty one, or one in which the same run has been begun.
  ///
  /// Throws `RunError.outputNotEmpty` for a folder that holds something else, `otherRun` for one of a run whose numbers
  /// would be others, `inUse` while another process is at it, and `cannotWrite` when nothing can be made there.
  public init(_ path: String, for manifest: RunManifest) throws {
    self.path = path
    self.manifest = manifest
    let home = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    let partial = "\(home)/\(Self.partial)"
    journal = FolderJournal(partial)
    let files = FileManager.default
    let contents = try? files.contentsOfDirectory(atPath: home)
    if files.fileExists(atPath: home) {
      guard let contents else { throw RunError.outputNotEmpty(path: path) }
      if let earlier = Self.manifest(in: home) {
        if let reason = try earlier.obstacle(to: manifest) {
          throw RunError.otherRun(path: path, reason: reason)
        }
      } else if !contents.isEmpty {
        throw RunError.outputNotEmpty(path: path)
      }
    }
    isComplete = contents?.contains("result.json") == true
    guard !isComplete else { return }
    do {
      try makeFolder(partial)
      lock = open("\(partial)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      guard lock >= 0 else { throw failure() }
      guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw RunError.inUse(path: path) }
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      try write(try encoder.encode(manifest), to: "manifest.json", into: partial)
    } catch RunError.inUse(let path) {
      throw RunError.inUse(path: path)
    } catch {
      abandon()
      throw error
    }
  }

  deinit { release() }

  /// Lets other processes at the folder; this one is done with it.
  public func release() {
    if lock >= 0 { close(lock) }
    lock = -1
  }

  /// What is begun or finished in a folder; nil if it holds no run.
  static func manifest(in folder: String) -> RunManifest? {
    let read = { (name: String) -> Data? in
      FileManager.default.contents(atPath: "\(folder)/\(name)")
    }
    if let data = read("result.json") {
      return (try? RunRecord(json: data)).map { RunManifest($0) }
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return read("\(partial)/manifest.json").flatMap {
      try? decoder.decode(RunManifest.self, from: $0)
    }
  }

  /// What is known of a run that has been begun in a folder and not finished; nil if there is none.
  static func begun(in folder: String) throws -> RunRecord? {
    guard let manifest = manifest(in: folder) else { return nil }
    return try RunAssembly(
      manifest: manifest, journal: FolderJournal("\(folder)/\(partial)")
    ).result(
      seconds: .init(total: 0, load: 0, solve: 0, coupling: 0), peakMemoryBytes: 0,
      peakPrivateBytes: 0
    ).record
  }

  /// Whether the end of the process now would leave something to go on from.
  public var keepsWork: Bool { !journal.isEmpty }

  /// Writes the results of a complete run and clears what they were made of. Throws `RunError.cannotWrite`; then what is
  /// finished stays.
  public func finish(_ result: RunResult) throws {
    let assembly = RunAssembly(manifest: manifest, journal: journal)
    do {
      var arrays = ["triplets.safetensors"]
      let aside = { (name: String) in "\(self.journal.path)/\(name)" }
      try assembly.writeTriplets(to: aside(arrays[0]))
      if try assembly.writeCouplings(to: aside("couplings.safetensors")) {
        arrays.append("couplings.safetensors")
      }
      if manifest.settings.saveHiddenStates {
        arrays.append("hidden_states.safetensors")
        try assembly.writeHiddenStates(to: aside("hidden_states.safetensors"))
      }
      for name in arrays {
        guard rename(aside(name), "\(home)/\(name)") == 0 else { throw failure() }
      }
      for table in RunTables.all(result) {
        try write(Data(table.text.utf8), to: table.name, into: home)
      }
      try write(try result.record.json(), to: "result.json", into: home)
    } catch CheckpointError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: path, reason: reason)
    }
    try? FileManager.default.removeItem(atPath: journal.path)
  }

  /// After a failure: takes back what was made, unless there is something to go on from, and that is to be believed.
  public func abandon(keepingWork: Bool = true) {
    guard !isComplete, !(keepingWork && keepsWork) else { return }
    try? FileManager.default.removeItem(atPath: journal.path)
    for folder in made.reversed() { rmdir(folder) }
  }

  private var home: String { (journal.path as NSString).deletingLastPathComponent }

  /// Makes a folder, and those on the way to it that are not there.
  private func makeFolder(_ path: String) throws {
    var missing: [String] = []
    var folder = URL(fileURLWithPath: path)
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
      missing.append(folder.path)
      folder.deleteLastPathComponent()
    }
    for folder in missing.reversed() {
      if mkdir(folder, 0o777) == 0 {
        made.append(folder)
      } else if errno != EEXIST {
        throw failure()
      }
    }
  }

  /// By `write(2)` and `fsync(2)`, so that a full disk is found here, not later; then renamed.
  private func write(_ data: Data, to name: String, into folder: String) throws {
    let temporary = "\(journal.path)/\(name).tmp"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure() }
    defer { close(file) }
    try data.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Foundation.write(
          file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        guard written > 0 else { throw failure() }
        rest = rest.dropFirst(written)
      }
    }
    guard fsync(file) == 0, rename(temporary, "\(folder)/\(name)") == 0 else { throw failure() }
  }

  private func failure() -> RunError {
    .cannotWrite(path: path, reason: String(cString: strerror(errno)))
  }
}
