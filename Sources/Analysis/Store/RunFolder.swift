import Files
import Checkpoint
import Foundation
import Processes

/// The folder of an `align` run, whose finished units are its journal.
public final class RunFolder {
  /// The path of the run, as given.
  public var path: String { base.path }
  /// Whether the folder already holds everything requested.
  public var isComplete: Bool { base.isComplete }
  let journal: FolderJournal
  /// The manifest's prompts that are requested now, in ascending order.
  package let asked: [Int]
  /// Whether the manifest's prompts are exactly the requested ones, in the same order.
  let isOfTheseAlone: Bool
  let visibility: Visibility
  private let base: ResultFolder<RunManifest>

  /// Opens the folder of a run before any work: a new or empty one, or one in which the same run, or one with more prompts, has
  /// been started.
  ///
  /// Throws like `ResultFolder`.
  public convenience init(_ path: String, for requested: RunManifest) throws {
    try self.init(path, for: requested, as: .alone)
  }

  /// Opens the folder in one of several processes, like `ResultFolder.open`.
  package convenience init(
    _ path: String, for requested: RunManifest, as processes: RunProcesses
  ) throws {
    let visibility = Visibility()
    self.init(
      try ResultFolder.open(path, for: requested, as: processes, visibility), for: requested,
      visibility)
  }

  convenience init(
    _ path: String, for requested: RunManifest, among sharing: any WorkSharing,
    _ visibility: Visibility
  ) throws {
    self.init(
      try ResultFolder.open(path, for: requested, among: sharing, visibility), for: requested,
      visibility)
  }

  private init(
    _ base: ResultFolder<RunManifest>, for requested: RunManifest, _ visibility: Visibility
  ) {
    (self.base, self.visibility) = (base, visibility)
    journal = FolderJournal(base.partialPath)
    let places = base.manifest.places(of: requested.prompts)
    asked = places.compactMap { $0 }.sorted()
    isOfTheseAlone = places == Array(base.manifest.prompts.indices)
  }

  /// The folder's manifest, with all prompts of the run that was started in it, since they share groups.
  var manifest: RunManifest { base.manifest }

  /// The settings of a run that resumes this one: with the block size it was started with.
  func settings(_ resolved: ResolvedSettings) -> ResolvedSettings {
    var settings = resolved
    settings.blockSize = manifest.blockSize
    return settings
  }

  /// Releases the folder to other processes.
  public func release() { base.release() }

  /// What is known about an unfinished run in a folder; nil if there is no such run.
  static func begun(in folder: String) throws -> RunRecord? {
    guard let manifest = ResultFolder<RunManifest>.manifest(in: folder)?.manifest else {
      return nil
    }
    return try RunAssembly(
      manifest: manifest, journal: FolderJournal("\(folder)/partial")
    ).result(seconds: .init(total: 0, load: 0, solve: 0, coupling: 0), meter: nil).record
  }

  /// Whether there is something to resume from if the process ended now.
  public var keepsWork: Bool { base.keepsWork }

  /// Writes the results of a complete run and removes the units they were made of. Throws `RunError.cannotWrite`, and
  /// `lostUnit` or `cannotRead` if a unit is missing; then the finished units are kept.
  ///
  /// Returns the record with its prompts condensed to what the statistics read. Precondition: the folder is not complete.
  @discardableResult
  public func finish(_ result: RunResult) throws -> RunRecord {
    guard let partial = base.partial else {
      preconditionFailure("the folder is already complete")
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
    // The names and shapes of all arrays have been freed, in pieces between which the tables below would not fit.
    returnFreedMemory()
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

  /// Changes the reading settings of a complete run, and the means that depend on them, in its `result.json`; returns whether
  /// they differed before.
  ///
  /// Throws `RunError.badRun` for a file that is not a record, `inUse` and `cannotWrite`. Precondition: the folder is complete.
  @discardableResult
  public func adopt(_ reading: ReadingSettings) throws -> Bool {
    precondition(isComplete, "an unfinished run takes the requested reading anyway")
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

  /// After a failure, removes what was created unless there is something to resume from.
  public func abandon() { base.abandon() }

  /// Removes what was created for a run whose prompts all failed, unless it contains the work of other prompts.
  func discard() {
    if asked.count == manifest.prompts.count { base.takeBack() }
  }
}

extension RunManifest: FolderManifest {
  /// The prefix of `FolderJournal`'s groups.
  package static var unitPrefix: String { "g" }

  /// The manifest of a finished run; a record that is not complete can only be resumed from the units beside it.
  package static func finished(in folder: String) -> RunManifest? {
    (try? StoredRun(folder, .identities).record).flatMap { $0.complete ? RunManifest($0) : nil }
  }

  /// Why the run cannot be resumed; a finished run can also not give what it did not keep.
  package func obstacle(to requested: RunManifest, isComplete: Bool) throws -> SettingMessage? {
    if let reason = try obstacle(to: requested) { return reason }
    guard isComplete, requested.settings.saveHiddenStates else { return nil }
    return try settings.difference(.saveHiddenStates, from: requested.settings)
  }

  /// The first setting, part or prompt that differs. Prompts must also have the same order, since that decides their groups.
  package func difference(from other: RunManifest) throws -> SettingMessage? {
    if let reason = try obstacle(to: other, isComplete: true) { return reason }
    guard places(of: other.prompts) != Array(prompts.indices) else { return nil }
    return "it has other prompts, or has them in another order"
  }

  /// The requested manifest with the prompts and the block size the run was started with, and all processors that computed any of
  /// it.
  package func continued(by requested: RunManifest) -> RunManifest {
    var manifest = requested
    (manifest.prompts, manifest.blockSize) = (prompts, blockSize)
    let before = computedWith ?? []
    manifest.computedWith =
      before + (requested.computedWith ?? []).filter { !before.contains($0) }
    return manifest
  }
}
