import Files
import Checkpoint
import Foundation

/// The folder of a run of `align`: what is finished is its journal.
public final class RunFolder {
  /// Where the run is, as it was named.
  public var path: String { base.path }
  /// Whether the folder holds all that is asked for already.
  public var isComplete: Bool { base.isComplete }
  let journal: FolderJournal
  /// The manifest's prompts that are asked for now, in ascending order.
  package let asked: [Int]
  /// Whether the manifest's prompts are those asked for, in the same order.
  let isOfTheseAlone: Bool
  private let base: ResultFolder<RunManifest>

  /// Opens the folder of a run before any work: a new or empty one, or one in which the same run has been begun, or one of
  /// more prompts.
  ///
  /// Throws as `ResultFolder` does.
  public init(_ path: String, for requested: RunManifest) throws {
    base = try ResultFolder(path, for: requested)
    journal = FolderJournal(base.partialPath)
    let places = base.manifest.places(of: requested.prompts)
    asked = places.compactMap { $0 }.sorted()
    isOfTheseAlone = places == Array(base.manifest.prompts.indices)
  }

  /// What the folder is of: all prompts of the run that was begun in it, whose groups depend on each other.
  var manifest: RunManifest { base.manifest }

  /// Lets other processes at the folder; this one is done with it.
  public func release() { base.release() }

  /// What is known of a run that has been begun in a folder and not finished; nil if there is none.
  static func begun(in folder: String) throws -> RunRecord? {
    guard let manifest = ResultFolder<RunManifest>.manifest(in: folder)?.manifest else {
      return nil
    }
    return try RunAssembly(
      manifest: manifest, journal: FolderJournal("\(folder)/partial")
    ).result(seconds: .init(total: 0, load: 0, solve: 0, coupling: 0), meter: nil).record
  }

  /// Whether the end of the process now would leave something to go on from.
  public var keepsWork: Bool { base.keepsWork }

  /// Writes the results of a complete run and clears what they were made of. Throws `RunError.cannotWrite`, and `lostUnit`
  /// or `cannotRead` if not everything is there to write; then what is finished stays.
  ///
  /// Returns the record with its prompts condensed to what the statistics read. Precondition: the folder is not complete.
  @discardableResult
  public func finish(_ result: RunResult) throws -> RunRecord {
    guard let partial = base.partial else {
      preconditionFailure("a folder that is complete is finished")
    }
    let assembly = result.assembly
    do {
      var arrays = ["triplets.safetensors"]
      try assembly.writeTriplets(to: base.aside(arrays[0]))
      if try assembly.writeCouplings(to: base.aside("couplings.safetensors")) {
        arrays.append("couplings.safetensors")
      }
      if manifest.settings.saveHiddenStates {
        arrays.append("hidden_states.safetensors")
        try assembly.writeHiddenStates(to: base.aside("hidden_states.safetensors"))
      }
      try base.place(arrays)
    } catch FileError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: path, reason: reason)
    }
    let writer = try RecordWriter(partial, into: base.home, diagonal: manifest.settings.diagonal)
    try assembly.forEachResult { prompt in
      guard prompt.isComplete else {
        throw RunError.lostUnit(path: path, unit: "what was found of some prompts")
      }
      try writer.append(
        prompt.outline, coupling: { try prompt.forEachCoupling(nil, $0) },
        overlap: prompt.forEachOverlap)
    }
    let record = try writer.finish { result.record(isComplete: true, prompts: $0) }
    base.clear()
    return record
  }

  /// Has a complete run shown as is asked for now, which its `result.json` says, as do the means in it; whether it did so
  /// otherwise before.
  ///
  /// Throws `RunError.badRun` for what is not a record, `inUse` and `cannotWrite`. Precondition: the folder is complete.
  @discardableResult
  public func adopt(_ reading: ReadingSettings) throws -> Bool {
    precondition(isComplete, "a run that goes on is read as is asked for anyway")
    let file = try RecordFile(base.home)
    guard file.head.settings.reading != reading else { return false }
    let partial = try OutputFolder(making: journal.path, name: path)
    defer { partial.takeBack() }
    let lock = try FolderLock(partial.path, name: path)
    try withExtendedLifetime(lock) {
      let writer = try RecordWriter(partial, into: base.home, diagonal: reading.diagonal)
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
  public func abandon() { base.abandon() }

  /// Takes back what was made for a run none of whose prompts came through, unless others' work is among it.
  func discard() {
    if asked.count == manifest.prompts.count { base.takeBack() }
  }
}

extension RunManifest: FolderManifest {
  /// Of `FolderJournal`'s groups.
  package static var unitPrefix: String { "g" }

  /// One that says it is not complete has nothing left to go on from but what lies beside it.
  package static func finished(in folder: String) -> RunManifest? {
    (try? StoredRun(folder, .identities).record).flatMap { $0.complete ? RunManifest($0) : nil }
  }

  /// What was not kept of a run that has ended cannot be had of it.
  package func obstacle(to requested: RunManifest, isComplete: Bool) throws -> SettingMessage? {
    if let reason = try obstacle(to: requested) { return reason }
    guard isComplete, requested.settings.saveHiddenStates else { return nil }
    return try settings.difference(.saveHiddenStates, from: requested.settings)
  }

  /// With the prompts the run was begun with, and all that has computed any of it.
  package func continued(by requested: RunManifest) -> RunManifest {
    var manifest = requested
    manifest.prompts = prompts
    let before = computedWith ?? []
    manifest.computedWith =
      before + (requested.computedWith ?? []).filter { !before.contains($0) }
    return manifest
  }
}
