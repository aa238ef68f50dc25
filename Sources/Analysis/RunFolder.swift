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
  private var partial: OutputFolder?
  private var lock: CInt = -1

  private static let partialName = "partial"

  /// Opens the folder of a run before any work: a new or empty one, or one in which the same run has been begun.
  ///
  /// Throws `RunError.outputNotEmpty` for a folder that holds something else, `otherRun` for one of a run whose numbers
  /// would be others, `inUse` while another process is at it, and `cannotWrite` when nothing can be made there.
  public init(_ path: String, for manifest: RunManifest) throws {
    self.path = path
    self.manifest = manifest
    let home = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
    let partial = "\(home)/\(Self.partialName)"
    journal = FolderJournal(partial)
    let files = FileManager.default
    let contents = try? files.contentsOfDirectory(atPath: home)
    if files.fileExists(atPath: home) {
      guard let contents else { throw RunError.outputNotEmpty(path: path) }
      if let earlier = Self.manifest(in: home) {
        if let reason = try earlier.obstacle(to: manifest) {
          throw RunError.otherRun(path: path, reason: reason)
        }
      } else if !contents.isEmpty, !Self.isBarelyBegun(home) {
        throw RunError.outputNotEmpty(path: path)
      }
    }
    isComplete = contents?.contains("result.json") == true
    guard !isComplete else { return }
    let made = try OutputFolder(making: partial, name: path)
    self.partial = made
    lock = open("\(partial)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    // Whoever holds the lock owns what is there.
    guard lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw RunError.inUse(path: path) }
    do {
      guard lock >= 0 else { throw made.failure() }
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      try made.write(try encoder.encode(manifest), to: "manifest.json")
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

  /// Whether a folder holds nothing but what a run leaves that ends before its manifest is written.
  private static func isBarelyBegun(_ folder: String) -> Bool {
    let files = FileManager.default
    let inside = try? files.contentsOfDirectory(atPath: "\(folder)/\(partialName)")
    return (try? files.contentsOfDirectory(atPath: folder)) == [partialName]
      && inside?.allSatisfy { $0 == "lock" || $0.hasSuffix(".tmp") } == true
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
    return read("\(partialName)/manifest.json").flatMap {
      try? decoder.decode(RunManifest.self, from: $0)
    }
  }

  /// What is known of a run that has been begun in a folder and not finished; nil if there is none.
  static func begun(in folder: String) throws -> RunRecord? {
    guard let manifest = manifest(in: folder) else { return nil }
    return try RunAssembly(
      manifest: manifest, journal: FolderJournal("\(folder)/\(partialName)")
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
    guard let partial else { return }
    let assembly = RunAssembly(manifest: manifest, journal: journal)
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
    } catch CheckpointError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: path, reason: reason)
    }
    for table in RunTables.all(result.record) {
      try partial.write(Data(table.text.utf8), to: table.name, into: home)
    }
    try partial.write(try result.record.json(), to: "result.json", into: home)
    try? FileManager.default.removeItem(atPath: partial.path)
  }

  /// After a failure: takes back what was made, unless there is something to go on from, and that is to be believed.
  public func abandon(keepingWork: Bool = true) {
    guard !isComplete, !(keepingWork && keepsWork) else { return }
    partial?.takeBack()
  }

  private var home: String { (journal.path as NSString).deletingLastPathComponent }
}
