/// A command's run that is made in a folder, where it goes on from what is finished there.
package protocol FolderRun {
  associatedtype Manifest: FolderManifest
  associatedtype Record
  /// What the user should know of the model's folder and the prompts, one line each.
  var notes: [String] { get }
  /// What decides the run's numbers.
  func manifest() throws -> Manifest
  /// Runs it and writes the results. Precondition: the folder is not complete.
  func run(
    in folder: ResultFolder<Manifest>, progress: (any RunProgress)?, meter: MemoryMeter
  ) throws -> Record
  /// The record of a folder that is complete.
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
