import Processes

/// A command's run in a folder, which resumes from what is finished there.
package protocol FolderRun {
  associatedtype Manifest: FolderManifest
  associatedtype Record
  /// Notes for the user on the model's files and the prompts, one line each.
  var notes: [String] { get }
  /// Everything that determines the run's numbers.
  func manifest(progress: (any RunProgress)?) throws -> Manifest
  /// Runs this process's share of the units; the leader then writes the results and returns their record, others return nil.
  ///
  /// Precondition: the folder is not complete.
  func run(
    in folder: ResultFolder<Manifest>, as processes: RunProcesses, progress: (any RunProgress)?,
    meter: MemoryMeter
  ) throws -> Record?
  /// The record of a complete folder.
  static func record(folder: String) throws -> Record
}

extension MapRun: FolderRun {
  package static func record(folder: String) throws -> MapRunRecord {
    try MapRunRecord(folder: folder)
  }
}

extension EigenRun: FolderRun {
  package static func record(folder: String) throws -> EigenRecord {
    try EigenRecord(folder: folder)
  }
}

extension LensRun: FolderRun {
  package static func record(folder: String) throws -> LensRecord {
    try LensRecord(folder: folder)
  }
}
